"""Real documents to measure with: the Debian Administrator's Handbook, in many languages.

Fetched with apt (nothing is installed) into a cache folder; (C) Raphael Hertzog, Roland Mas and
translators, GPL-2+ or CC-BY-SA-3.0. Each chapter opens with an abstract that its authors wrote. Run as
a program it writes the sentences that the conformance tests use (`tests/data`).
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import sentencex

CACHE = Path(__file__).parent / ".cache"
_HANDBOOK = Path("usr/share/doc/debian-handbook/html")
_PACKAGE = "debian-handbook"
# What holds a paragraph of prose; listings, titles and tables of contents are left out.
_SKIPPED = {"pre", "table", "dl", "h1", "h2", "h3", "h4", "title", "script", "style"}
_SKIPPED_CLASSES = {"toc", "docnav", "titlepage", "sidebar", "footnotes", "figure"}


@dataclass(frozen=True)
class Chapter:
    """One chapter: its authors' abstract ("" where there is none) and its paragraphs after that."""

    name: str
    abstract: str
    paragraphs: tuple[str, ...]


class _Prose(HTMLParser):
    """Collects `div.para` texts, those inside `div.highlights` apart."""

    def __init__(self) -> None:
        super().__init__()
        self.abstract: list[str] = []
        self.paragraphs: list[str] = []
        self.next_page: str | None = None
        self._stack: list[tuple[str, str]] = []
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens a paragraph at `div.para` outside anything skipped."""
        if tag in {"img", "br", "hr", "meta", "link", "input"}:
            return
        values = dict(attrs)
        self._stack.append((tag, values.get("class") or ""))
        if tag == "a" and values.get("accesskey") == "n":
            self.next_page = values.get("href")
        if tag == "div" and values.get("class") == "para" and not self._is_skipped():
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """Closes up to the last open element of this name."""
        if not any(name == tag for name, _ in self._stack):
            return
        while self._stack:
            name, classes = self._stack.pop()
            if name == "div" and classes == "para" and self._text is not None:
                text = re.sub(r"\s+", " ", "".join(self._text)).strip()
                in_abstract = any(c == "highlights" for _, c in self._stack)
                if text:
                    (self.abstract if in_abstract else self.paragraphs).append(text)
                self._text = None
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Keeps text that stands in an open paragraph."""
        if self._text is not None and not self._is_skipped():
            self._text.append(data)

    def _is_skipped(self) -> bool:
        return any(tag in _SKIPPED or _SKIPPED_CLASSES & set(classes.split()) for tag, classes in self._stack)


def fetch_handbook() -> Path:
    """The handbook's folder of languages, downloaded by apt where it is not yet in the cache."""
    root = CACHE / "handbook"
    if not (root / _HANDBOOK).is_dir():
        CACHE.mkdir(exist_ok=True)
        print(f"fetching Debian's package {_PACKAGE} ...", file=sys.stderr)
        subprocess.run(["apt-get", "download", _PACKAGE], cwd=CACHE, check=True, capture_output=True)
        package = next(CACHE.glob(f"{_PACKAGE}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
        package.unlink()
    return root / _HANDBOOK


def read_chapters(language: str) -> list[Chapter]:
    """The chapters of one translation (`en-US`, `pt-BR`, ...), each with the pages that follow it."""
    folder = fetch_handbook() / language
    pages = {path.name: _parse(path) for path in sorted(folder.glob("*.html"))}
    chapters = []
    for name, page in pages.items():
        if name.startswith(("sect.", "index", "ix")):
            continue
        paragraphs = list(page.paragraphs)
        following = page.next_page
        while following and following.startswith("sect.") and following in pages:
            paragraphs += pages[following].paragraphs
            following = pages[following].next_page
        chapters.append(Chapter(name.removesuffix(".html"), " ".join(page.abstract), tuple(paragraphs)))
    return chapters


def read_paragraphs(language: str) -> list[str]:
    """All paragraphs of one translation, in chapter order."""
    return [text for chapter in read_chapters(language) for text in chapter.paragraphs]


def sample_sentences(language: str, count: int, seed: int = 7) -> list[str]:
    """`count` distinct sentences of 3 to 70 words, drawn evenly from all lengths up to there."""
    code = language.split("-")[0]
    sentences = {
        sentence.strip()
        for text in read_paragraphs(language)
        for sentence in sentencex.segment(code, text)
        if 3 <= len(sentence.split()) <= 70
    }
    by_length: dict[int, list[str]] = {}
    for sentence in sorted(sentences):
        by_length.setdefault(min(len(sentence.split()) // 6, 6), []).append(sentence)
    chosen: list[str] = []
    draw = random.Random(seed)
    for group, members in sorted(by_length.items()):
        share = count // len(by_length) + (group < count % len(by_length))
        chosen += draw.sample(members, min(share, len(members)))
    draw.shuffle(chosen)
    return chosen


def _parse(path: Path) -> _Prose:
    parser = _Prose()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


if __name__ == "__main__":
    target = Path(__file__).parent.parent / "tests" / "data"
    target.mkdir(parents=True, exist_ok=True)
    for language, name in (("en-US", "handbook.en.txt"), ("pt-BR", "handbook.pt.txt")):
        (target / name).write_text("\n".join(sample_sentences(language, 280)) + "\n", encoding="utf-8")
