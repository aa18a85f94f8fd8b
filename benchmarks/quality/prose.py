"""Chooses English and Portuguese sentences for tuning and measuring the checks, and translates them by the real models.

There are two lists, one for tuning and one held out. Half of each list comes from manuals: the Debian Administrator's
Handbook for tuning, the Debian Reference and FAQ for the held-out list. The other half comes from collections of
sayings, jokes and quotations (`fortunes`, `fortunes-br`), which have the numbers, names and dialogue that manuals lack.
All are fetched with apt (nothing is installed) and kept in the cache folder, as are the translations.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser

import sentencex

from benchmarks.corpus import CACHE, fetch_package, read_paragraphs
from benchmarks.students import load_embedded_student, run_in_batches
from latimer_server.text.detection import LanguageDetector

_MODELS = {"en": "firefox-en-pt", "pt": "firefox-pt-en"}
_MANUALS = {"en": ("debian-reference-en", "debian-faq"), "pt": ("debian-reference-pt", "debian-faq-pt")}
_SAYINGS = {"en": "fortunes", "pt": "fortunes-br"}
_HANDBOOKS = {"en": "en-US", "pt": "pt-BR"}
_SKIPPED_TAGS = frozenset({"pre", "table", "title", "script", "style", "h1", "h2", "h3", "h4", "dt"})
_VOID_TAGS = frozenset({"img", "br", "hr", "meta", "link", "input"})
_SOURCE_NOTE = re.compile(r"\n\s*--\s.*", re.DOTALL)
# Paths, addresses, options and code are left out: the server protects them before the checks run.
_CODE = re.compile(r"[/\\@<>{}_=|*$#`]|--|\S\.\S*[a-z]|\s-\w")
_BATCH = 16
_DETECTOR = LanguageDetector()


class _Paragraphs(HTMLParser):
    """Collects the text of `<p>` outside listings and tables."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._stack: list[str] = []
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (HTMLParser's)
        """Opens a paragraph."""
        if tag in _VOID_TAGS:
            return
        self._stack.append(tag)
        if tag == "p":
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """Closes all elements up to the last open one of this name."""
        while tag in self._stack:
            name = self._stack.pop()
            if name == "p" and self._text is not None:
                if not _SKIPPED_TAGS & set(self._stack):
                    self.found.append(" ".join("".join(self._text).split()))
                self._text = None
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Keeps text of an open paragraph."""
        if self._text is not None:
            self._text.append(data)


def read_sentences(language: str, count: int, *, held_out: bool) -> list[str]:
    """Returns `count` distinct sentences of 3 to 60 words in `language` (en, pt), always the same ones. The held-out
    list shares no sentence with the other list."""
    sayings = _keep_prose(language, _read_sayings(_SAYINGS[language]))
    halves = [text for text in sayings if (hashlib.sha256(text.encode()).digest()[0] % 2 == 1) == held_out]
    manuals = tuned = _keep_prose(language, read_paragraphs(_HANDBOOKS[language]))
    if held_out:
        others = (text for package in _MANUALS[language] for text in _read_manual(package, language))
        manuals = sorted(set(_keep_prose(language, others)) - set(tuned))
    draw = random.Random(5)
    chosen = draw.sample(manuals, min(count // 2, len(manuals)))
    chosen += draw.sample(halves, min(count - len(chosen), len(halves)))
    return chosen


def translate_sentences(language: str, sentences: Sequence[str]) -> list[str]:
    """Returns the translations by the embedded model of `language`; they are kept in the cache folder."""
    key = hashlib.sha256(json.dumps([_MODELS[language], list(sentences)]).encode()).hexdigest()[:16]
    kept = CACHE / f"translations-{language}-{key}.json"
    if not kept.is_file():
        kept.write_text(json.dumps(_translate(language, sentences), ensure_ascii=False), encoding="utf-8")
    translations: list[str] = json.loads(kept.read_text(encoding="utf-8"))
    return translations


def _translate(language: str, sentences: Sequence[str]) -> list[str]:
    print(f"translating {len(sentences)} sentences ...", file=sys.stderr)
    model = load_embedded_student(_MODELS[language], 1)
    rows = [encoding.ids for encoding in model.encode(sentences)]
    # Sorted by length, so that a batch has little padding.
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    hypotheses = run_in_batches(model, [rows[index] for index in order], _BATCH)
    outputs = dict(zip(order, model.decode([hypothesis.ids for hypothesis in hypotheses]), strict=True))
    return [outputs[index] for index in range(len(rows))]


def _read_manual(package: str, language: str) -> Iterator[str]:
    for path in sorted(fetch_package(package).rglob(f"*.{language}.html")):
        if path.is_symlink():
            continue
        parser = _Paragraphs()
        parser.feed(path.read_text(encoding="utf-8"))
        yield from parser.found


def _read_sayings(package: str) -> Iterator[str]:
    for path in sorted((fetch_package(package) / "usr/share/games/fortunes").iterdir()):
        if path.suffix or path.is_symlink() or not path.is_file():
            continue
        for saying in path.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
            for paragraph in re.split(r"\n\s*\n", _SOURCE_NOTE.sub("", saying)):
                if "\b" not in paragraph and "   " not in paragraph.strip():
                    yield " ".join(paragraph.split())


def _keep_prose(language: str, paragraphs: Iterable[str]) -> list[str]:
    """Returns the distinct sentences of prose: 3 to 60 words of this language, mostly letters, without code."""
    found = {
        sentence.strip()
        for text in paragraphs
        for sentence in sentencex.segment(language, text)
        if 3 <= len(sentence.split()) <= 60 and not _CODE.search(sentence)
    }
    letters = (text for text in found if sum(c.isalpha() or c.isspace() for c in text) > 0.85 * len(text))
    # The Portuguese manuals have whole pages in English that are not translated yet.
    return sorted(text for text in letters if _DETECTOR.detect(text, ("en", "pt")).candidates[0].code == language)
