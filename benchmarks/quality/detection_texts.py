"""Reads sentences, phrases of three words and single words of known language, to measure language detection.

They come from Debian packages, fetched with apt (nothing is installed): the Administrator's Handbook and the
installation guide in six languages, and fortune cookies in five of them for everyday text. Detection was tuned on two
other books, the Debian Reference and the manual of GIMP. Incomplete translations contain English. So sentences that
are also in the English edition, or contain one of a few English words, are left out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

import sentencex

from benchmarks.corpus import fetch_handbook, fetch_package

LANGUAGES = ("en", "pt", "es", "fr", "de", "it")
_COUNT = 400
_HANDBOOKS = {"en": "en-US", "pt": "pt-BR", "es": "es-ES", "fr": "fr-FR", "de": "de-DE", "it": "it-IT"}
_GUIDE = "installation-guide-amd64"
_FORTUNES = {"en": "fortunes-min", "pt": "fortunes-br", "es": "fortunes-es", "de": "fortunes-de", "it": "fortunes-it"}
_CODE_TAGS = {"code", "tt", "kbd", "samp"}
_CODE_CLASSES = {"command", "application", "package", "filename"}
_SKIPPED = {"pre", "table", "script", "style", "title"}
_VOID = {"img", "br", "hr", "meta", "link", "input"}
# Marks the start and end of inline code, which phrases must not contain.
_BEGIN, _END = "\x01", "\x02"
_ENGLISH = re.compile(r"\b(the|of|and|which|that|this|with|is|are|to|you|for)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_MIN_WORDS = 5
_MAX_WORDS = 70


@dataclass(frozen=True)
class Texts:
    """Texts of one language."""

    sentences: Sequence[str]
    phrases: Sequence[str]
    words: Sequence[str]


class _Paragraphs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._text: list[str] | None = None
        self._open: list[tuple[str, bool, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens a paragraph at `p` or `div.para`."""
        if tag in _VOID:
            return
        name = dict(attrs).get("class") or ""
        begins = tag == "p" or (tag == "div" and name == "para")
        is_code = tag in _CODE_TAGS or name in _CODE_CLASSES
        if begins:
            self._close()
            self._text = []
        elif is_code and self._text is not None and not any(code for *_, code in self._open):
            self._text.append(_BEGIN)
        self._open.append((tag, begins, is_code))

    def handle_endtag(self, tag: str) -> None:
        """Closes all elements up to the last open one of this name."""
        while any(name == tag for name, *_ in self._open):
            name, begins, is_code = self._open.pop()
            if is_code and self._text is not None and not any(code for *_, code in self._open):
                self._text.append(_END)
            if begins:
                self._close()
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Keeps text of an open paragraph."""
        if self._text is not None and not any(name in _SKIPPED for name, *_ in self._open):
            self._text.append(data)

    def _close(self) -> None:
        text = " ".join("".join(self._text or ()).split())
        if text:
            self.found.append(text)
        self._text = None


def read_technical() -> dict[str, Texts]:
    """Reads the handbook and the installation guide, in all of `LANGUAGES`."""
    guide = fetch_package(_GUIDE) / "usr/share/doc" / _GUIDE
    folders = {code: (fetch_handbook() / name, guide / code) for code, name in _HANDBOOKS.items()}

    def read(code: str) -> Iterable[str]:
        for path in sorted(path for folder in folders[code] for path in folder.glob("*.html")):
            if not path.name.startswith(("ix", "index")):
                parser = _Paragraphs()
                parser.feed(path.read_text(encoding="utf-8", errors="replace"))
                yield from parser.found

    return _draw(LANGUAGES, read)


def read_everyday() -> dict[str, Texts]:
    """Reads fortune cookies: jokes, proverbs and quotations, in all of `LANGUAGES` except French."""

    def read(code: str) -> Iterable[str]:
        folder = fetch_package(_FORTUNES[code]) / "usr/share/games/fortunes"
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "off" not in path.parts):
            if path.suffix in {".dat", ".u8"}:
                continue
            data = path.read_bytes()
            try:
                text = data.decode()
            except UnicodeDecodeError:
                text = data.decode("latin1")
            for cookie in re.split(r"\n%\n", text):
                yield " ".join(re.split(r"\n\s*(?:--|—)", cookie)[0].split())

    return _draw(tuple(_FORTUNES), read)


def _draw(languages: Sequence[str], read: Callable[[str], Iterable[str]]) -> dict[str, Texts]:
    sentences = {
        code: {found.strip() for text in read(code) for found in sentencex.segment(code, text)} for code in languages
    }
    english = {_unmark(sentence) for sentence in sentences["en"]}
    drawn = {}
    for code, found in sentences.items():
        draw = random.Random(5)
        native = [s for s in sorted(found) if code == "en" or (_unmark(s) not in english and not _ENGLISH.search(s))]
        native = [s for s in native if len(_WORD.findall(s)) >= _MIN_WORDS]
        draw.shuffle(native)
        runs = [run for sentence in native if (run := _choose_run(sentence, draw))]
        phrases = [phrase for run in runs if (phrase := _cut_phrase(run, draw))]
        words = [word for run in runs if (word := draw.choice(run)).islower() and len(word) > 3]
        drawn[code] = Texts(
            [_unmark(sentence) for sentence in native if _is_prose(sentence)][:_COUNT],
            list(dict.fromkeys(phrases))[:_COUNT],
            list(dict.fromkeys(words))[:_COUNT],
        )
    return drawn


def _unmark(sentence: str) -> str:
    return sentence.replace(_BEGIN, "").replace(_END, "").strip()


def _is_prose(sentence: str) -> bool:
    """True if a sentence has at most 70 words, and at least half of them are words outside code."""
    count = len(sentence.split())
    prose = re.sub(f"{_BEGIN}.*?({_END}|$)", " ", sentence)
    return count <= _MAX_WORDS and len(_WORD.findall(prose)) >= max(_MIN_WORDS - 1, count / 2)


def _choose_run(sentence: str, draw: random.Random) -> list[str]:
    """Draws a run of three or more words with only spaces between; [] if the sentence has none."""
    runs: list[list[str]] = [[]]
    for token in re.sub(f"{_BEGIN}.*?({_END}|$)", " 0 ", sentence).split():
        word = token.strip('.,;:!?()"“”«»')
        if not _WORD.fullmatch(word):
            runs.append([])
            continue
        runs[-1].append(word)
        if token[-1] in ".,;:!?)":
            runs.append([])
    long_enough = [run for run in runs if len(run) >= 3]
    return draw.choice(long_enough) if long_enough else []


def _cut_phrase(run: Sequence[str], draw: random.Random) -> str:
    """Draws three consecutive words; "" for names, that is if less than two words begin with a small letter."""
    start = draw.randrange(len(run) - 2)
    words = run[start : start + 3]
    return " ".join(words) if sum(word[0].islower() for word in words) >= 2 and sum(map(len, words)) >= 6 else ""
