"""Reads real documents for benchmarks: the Debian Administrator's Handbook in many languages.

The handbook is (C) Raphael Hertzog, Roland Mas and translators, GPL-2+ or CC-BY-SA-3.0. It is fetched with apt into a
cache folder; nothing is installed. Each chapter begins with an abstract by its authors. Run as a program, this module
writes the sentences of the conformance tests (`tests/data`).
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
# Elements without prose: listings, titles, tables of contents.
_SKIPPED = {"pre", "table", "dl", "h1", "h2", "h3", "h4", "title", "script", "style"}
_SKIPPED_CLASSES = {"toc", "docnav", "titlepage", "sidebar", "footnotes", "figure"}


@dataclass(frozen=True)
class Chapter:
    """One chapter: its authors' abstract ("" if it has none) and the paragraphs after it."""

    name: str
    abstract: str
    paragraphs: tuple[str, ...]


class _Prose(HTMLParser):
    """Collects the texts of `div.para`; those inside `div.highlights` form the abstract."""

    def __init__(self) -> None:
        super().__init__()
        self.abstract: list[str] = []
        self.paragraphs: list[str] = []
        self.next_page: str | None = None
        self._stack: list[tuple[str, str]] = []
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens a paragraph at `div.para` outside skipped elements."""
        if tag in {"img", "br", "hr", "meta", "link", "input"}:
            return
        values = dict(attrs)
        self._stack.append((tag, values.get("class") or ""))
        if tag == "a" and values.get("accesskey") == "n":
            self.next_page = values.get("href")
        if tag == "div" and values.get("class") == "para" and not self._is_skipped():
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """Closes all elements up to the last open one of this name."""
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
        """Keeps text of an open paragraph."""
        if self._text is not None and not self._is_skipped():
            self._text.append(data)

    def _is_skipped(self) -> bool:
        return any(tag in _SKIPPED or _SKIPPED_CLASSES & set(classes.split()) for tag, classes in self._stack)


def fetch_package(name: str) -> Path:
    """Returns the folder with the files of a Debian package, and downloads it with apt if it is not in the cache.

    Nothing is installed. Raises CalledProcessError if apt or dpkg fails.
    """
    root = CACHE / name
    if not root.is_dir():
        CACHE.mkdir(exist_ok=True)
        print(f"fetching Debian's package {name} ...", file=sys.stderr)
        subprocess.run(["apt-get", "download", name], cwd=CACHE, check=True, capture_output=True)
        archive = next(CACHE.glob(f"{name}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)
        archive.unlink()
    return root


def fetch_handbook() -> Path:
    """Returns the handbook's folder, which has one folder per language."""
    return fetch_package("debian-handbook") / _HANDBOOK


def read_chapters(language: str) -> list[Chapter]:
    """Returns the chapters of one translation (`en-US`, `pt-BR`, ...), each with the pages that follow it."""
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
    """Returns all paragraphs of one translation, in the order of the chapters."""
    return [text for chapter in read_chapters(language) for text in chapter.paragraphs]


def sample_sentences(language: str, count: int, seed: int = 7) -> list[str]:
    """Draws `count` distinct sentences of 3 to 70 words, evenly from seven groups of lengths."""
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
