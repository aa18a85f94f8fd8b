"""Ordinary sentences: plain prose of three Debian manuals, always the same choice.

From debian-reference and debian-faq (GPL-2+) and the Debian Administrator's Handbook (see `benchmarks.corpus`), fetched
with apt; nothing of them is in this repository, and no sentence that the tests use (`tests/data`) is taken. The choice
goes by the hash of the sentence, so that another edition of a manual changes only the sentences that it changes.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import sentencex

from benchmarks.corpus import CACHE, read_paragraphs

_PACKAGES = ("debian-reference-en", "debian-reference-pt", "debian-faq", "debian-faq-pt")
_PAGES = {
    "en": ("usr/share/debian-reference/*.en.html", "usr/share/doc/debian/FAQ/*.en.html"),
    "pt": ("usr/share/debian-reference/*.pt.html", "usr/share/doc/debian/FAQ/pt/*.pt.html"),
}
_HANDBOOK = {"en": "en-US", "pt": "pt-BR"}
_TEST_DATA = Path(__file__).parents[3] / "tests" / "data"
# Prose: no commands, paths, markup or placeholders; begins like a sentence and ends like one.
_PLAIN = re.compile(r"[A-ZÀ-Ý“\"][^/\\<>=|{}$#@_*~^\[\]`]+[.!?][\"”]?")
# Options, pages of manuals, calls, file names and shares of a hundred that are printf's.
_TECHNICAL = re.compile(r"(?<!\w)-{1,2}[a-z]|\(\d\)|\(\)|%[^\s.,;)]|[a-z]\.[a-z]|[“\"'][-.]")
# Parts of the Portuguese manuals are not translated.
_COMMON = {
    "en": {"the", "of", "and", "to", "is", "you", "that", "with", "this", "are", "for", "not"},
    "pt": {"de", "que", "para", "uma", "um", "com", "não", "os", "é", "do", "da", "em", "são", "pode", "ou", "se"},
}
_LEAST_WORDS, _MOST_WORDS = 6, 40


def choose_sentences(language: str, count: int) -> list[str]:
    """`count` sentences of 6 to 40 words in "en" or "pt"."""
    known = {line for path in _TEST_DATA.glob("*.txt") for line in path.read_text("utf-8").splitlines()}
    paragraphs = read_pages(language) + read_paragraphs(_HANDBOOK[language])
    sentences = {sentence.strip() for text in paragraphs for sentence in sentencex.segment(language, text)}
    plain = [sentence for sentence in sentences - known if is_prose(sentence, language)]
    return sorted(plain, key=lambda sentence: hashlib.sha256(sentence.encode()).digest())[:count]


def is_prose(sentence: str, language: str) -> bool:
    """Whether a sentence is plain prose of this language ("en" or "pt"), of an ordinary length."""
    words = sentence.lower().split()
    other = "en" if language == "pt" else "pt"
    common = sum(word in _COMMON[language] for word in words)
    return (
        _LEAST_WORDS <= len(words) <= _MOST_WORDS
        and bool(_PLAIN.fullmatch(sentence))
        and not _TECHNICAL.search(sentence)
        and common >= 0.1 * len(words)
        and common > 2 * sum(word in _COMMON[other] for word in words)
    )


class _Paragraphs(HTMLParser):
    """The text of every `p`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A `p` begins, and ends the one before."""
        del attrs
        if tag == "p":
            self._finish()
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """It ends with its own tag or that of what holds it."""
        if tag in ("p", "div", "li", "td"):
            self._finish()

    def handle_data(self, data: str) -> None:
        """Text of an open paragraph."""
        if self._text is not None:
            self._text.append(data)

    def _finish(self) -> None:
        if self._text is not None:
            self.found.append(" ".join("".join(self._text).split()))
        self._text = None


def read_pages(language: str) -> list[str]:
    """All paragraphs of the reference and the FAQ in "en" or "pt"."""
    root = _fetch()
    parser = _Paragraphs()
    for pattern in _PAGES[language]:
        for path in sorted(root.glob(pattern)):
            parser.feed(path.read_text("utf-8", errors="replace"))
    return parser.found


def _fetch() -> Path:
    """The packages' files, downloaded by apt where they are not yet in the cache; nothing is installed."""
    root = CACHE / "manuals"
    if not root.is_dir():
        CACHE.mkdir(exist_ok=True)
        print(f"fetching Debian's packages {', '.join(_PACKAGES)} ...", file=sys.stderr)
        subprocess.run(["apt-get", "download", *_PACKAGES], cwd=CACHE, check=True, capture_output=True)
        for name in _PACKAGES:
            package = next(CACHE.glob(f"{name}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
            package.unlink()
    return root
