"""Chooses ordinary sentences of plain prose from three Debian manuals, always the same ones.

The manuals are debian-reference and debian-faq (GPL-2+) and the Debian Administrator's Handbook (see
`benchmarks.corpus`). They are fetched with apt and are not in this repository. Sentences of the tests (`tests/data`)
are left out. The choice depends on the hash of each sentence, so another edition of a manual changes only the sentences
that differ in it.
"""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import sentencex

from benchmarks.corpus import fetch_package, read_paragraphs

# Packages and their pages.
_PAGES = {
    "en": {
        "debian-reference-en": "usr/share/debian-reference/*.en.html",
        "debian-faq": "usr/share/doc/debian/FAQ/*.en.html",
    },
    "pt": {
        "debian-reference-pt": "usr/share/debian-reference/*.pt.html",
        "debian-faq-pt": "usr/share/doc/debian/FAQ/pt/*.pt.html",
    },
}
_HANDBOOK = {"en": "en-US", "pt": "pt-BR"}
_TEST_DATA = Path(__file__).parents[3] / "tests" / "data"
# A sentence of prose begins with a capital, ends with a full stop, and has no commands, paths, markup or placeholders.
_PLAIN = re.compile(r"[A-ZÀ-Ý“\"][^/\\<>=|{}$#@_*~^\[\]`]+[.!?][\"”]?")
# Options, references to manual pages, calls, file names and printf placeholders.
_TECHNICAL = re.compile(r"(?<!\w)-{1,2}[a-z]|\(\d\)|\(\)|%[^\s.,;)]|[a-z]\.[a-z]|[“\"'][-.]")
# Common words tell the language of a sentence: parts of the Portuguese manuals are not translated.
_COMMON = {
    "en": {"the", "of", "and", "to", "is", "you", "that", "with", "this", "are", "for", "not"},
    "pt": {"de", "que", "para", "uma", "um", "com", "não", "os", "é", "do", "da", "em", "são", "pode", "ou", "se"},
}
_LEAST_WORDS, _MOST_WORDS = 6, 40


def choose_sentences(language: str, count: int) -> list[str]:
    """Returns `count` sentences of 6 to 40 words in "en" or "pt"."""
    test_sentences = {line for path in _TEST_DATA.glob("*.txt") for line in path.read_text("utf-8").splitlines()}
    paragraphs = read_pages(language) + read_paragraphs(_HANDBOOK[language])
    sentences = {sentence.strip() for text in paragraphs for sentence in sentencex.segment(language, text)}
    plain = [sentence for sentence in sentences - test_sentences if is_prose(sentence, language)]
    return sorted(plain, key=lambda sentence: hashlib.sha256(sentence.encode()).digest())[:count]


def is_prose(sentence: str, language: str) -> bool:
    """True if a sentence is plain prose of this language ("en" or "pt") with 6 to 40 words."""
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
    """Collects the text of every `p`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens a paragraph at `p` and closes the one before."""
        del attrs
        if tag == "p":
            self._finish()
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """Closes the paragraph at its end tag or at that of its container."""
        if tag in ("p", "div", "li", "td"):
            self._finish()

    def handle_data(self, data: str) -> None:
        """Keeps text of an open paragraph."""
        if self._text is not None:
            self._text.append(data)

    def _finish(self) -> None:
        if self._text is not None:
            self.found.append(" ".join("".join(self._text).split()))
        self._text = None


def read_pages(language: str) -> list[str]:
    """Returns all paragraphs of the reference and the FAQ in "en" or "pt"."""
    parser = _Paragraphs()
    for package, pattern in _PAGES[language].items():
        for path in sorted(fetch_package(package).glob(pattern)):
            parser.feed(path.read_text("utf-8", errors="replace"))
    return parser.found
