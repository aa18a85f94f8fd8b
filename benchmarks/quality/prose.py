"""Ordinary sentences in English and Portuguese to tune and to measure the checks with, and their translations by the
real models, both kept in the cache folder.

Half of each list is of the Debian Administrator's Handbook or, in the other list, of the Debian Reference and FAQ; half
of collections of sayings, jokes and quotations (`fortunes`, `fortunes-br`), which bring the numbers, names and
dialogue that manuals lack. Fetched with apt (nothing is installed), never committed.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import sentencex

from benchmarks.corpus import CACHE, read_paragraphs
from latimer_server.backends.marian.student import load_student
from latimer_server.config.settings import Settings
from latimer_server.core.decoding import DecodingOptions, LanguagePair
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store
from latimer_server.text.detection import LanguageDetector

_MODELS = {"en": "firefox-en-pt", "pt": "firefox-pt-en"}
_MANUALS = {"en": ("debian-reference-en", "debian-faq"), "pt": ("debian-reference-pt", "debian-faq-pt")}
_SAYINGS = {"en": "fortunes", "pt": "fortunes-br"}
_HANDBOOKS = {"en": "en-US", "pt": "pt-BR"}
_SKIPPED_TAGS = frozenset({"pre", "table", "title", "script", "style", "h1", "h2", "h3", "h4", "dt"})
_VOID_TAGS = frozenset({"img", "br", "hr", "meta", "link", "input"})
_SOURCE_NOTE = re.compile(r"\n\s*--\s.*", re.DOTALL)
# Paths, addresses, options and code: the server protects those before a check sees them.
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

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (HTMLParser gives them)
        """Opens a paragraph."""
        if tag in _VOID_TAGS:
            return
        self._stack.append(tag)
        if tag == "p":
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """Closes up to the last open element of this name."""
        while tag in self._stack:
            name = self._stack.pop()
            if name == "p" and self._text is not None:
                if not _SKIPPED_TAGS & set(self._stack):
                    self.found.append(" ".join("".join(self._text).split()))
                self._text = None
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Keeps text that stands in an open paragraph."""
        if self._text is not None:
            self._text.append(data)


def read_sentences(language: str, count: int, *, held_out: bool) -> list[str]:
    """`count` distinct sentences of 3 to 60 words in `language` (en, pt), the same ones each time; those held out share
    none with the others."""
    sayings = _keep_prose(language, _read_sayings(_SAYINGS[language]))
    halves = [text for text in sayings if (hashlib.sha256(text.encode()).digest()[0] % 2 == 1) == held_out]
    known = _keep_prose(language, read_paragraphs(_HANDBOOKS[language]))
    manuals = known
    if held_out:
        others = (text for package in _MANUALS[language] for text in _read_manual(package, language))
        manuals = sorted(set(_keep_prose(language, others)) - set(known))
    draw = random.Random(5)
    chosen = draw.sample(manuals, min(count // 2, len(manuals)))
    chosen += draw.sample(halves, min(count - len(chosen), len(halves)))
    return chosen


def translate_sentences(language: str, sentences: Sequence[str]) -> list[str]:
    """What the embedded model of `language` makes of the sentences; remembered in the cache folder."""
    key = hashlib.sha256(json.dumps([_MODELS[language], list(sentences)]).encode()).hexdigest()[:16]
    kept = CACHE / f"translations-{language}-{key}.json"
    if not kept.is_file():
        kept.write_text(json.dumps(_translate(language, sentences), ensure_ascii=False), encoding="utf-8")
    translations: list[str] = json.loads(kept.read_text(encoding="utf-8"))
    return translations


def _translate(language: str, sentences: Sequence[str]) -> list[str]:
    print(f"translating {len(sentences)} sentences ...", file=sys.stderr)
    entry = load_catalog(None).get(_MODELS[language])
    model = load_student(Store(Settings().store).locate(entry), 1)
    pair = LanguagePair(language, "pt" if language == "en" else "en")
    rows = [encoding.ids for encoding in model.encode(sentences, pair)]
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    outputs = [""] * len(rows)
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        hypotheses = model.run([rows[index] for index in chosen], DecodingOptions(), lambda: False)
        for index, text in zip(chosen, model.decode([found.ids for found in hypotheses]), strict=True):
            outputs[index] = text
    return outputs


def _fetch(package: str) -> Path:
    """The files of a Debian package, unpacked in the cache folder."""
    root = CACHE / package
    if not root.is_dir():
        CACHE.mkdir(exist_ok=True)
        print(f"fetching Debian's package {package} ...", file=sys.stderr)
        subprocess.run(["apt-get", "download", package], cwd=CACHE, check=True, capture_output=True)
        archive = next(CACHE.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)
        archive.unlink()
    return root


def _read_manual(package: str, language: str) -> Iterator[str]:
    for path in sorted(_fetch(package).rglob(f"*.{language}.html")):
        if path.is_symlink():
            continue
        parser = _Paragraphs()
        parser.feed(path.read_text(encoding="utf-8"))
        yield from parser.found


def _read_sayings(package: str) -> Iterator[str]:
    for path in sorted((_fetch(package) / "usr/share/games/fortunes").iterdir()):
        if path.suffix or path.is_symlink() or not path.is_file():
            continue
        for saying in path.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
            for paragraph in re.split(r"\n\s*\n", _SOURCE_NOTE.sub("", saying)):
                if "\b" not in paragraph and "   " not in paragraph.strip():
                    yield " ".join(paragraph.split())


def _keep_prose(language: str, paragraphs: Iterable[str]) -> list[str]:
    """The distinct sentences that are prose: of 3 to 60 words, most of them of letters only, in that
    language, without code."""
    found = {
        sentence.strip()
        for text in paragraphs
        for sentence in sentencex.segment(language, text)
        if 3 <= len(sentence.split()) <= 60 and not _CODE.search(sentence)
    }
    letters = (text for text in found if sum(c.isalpha() or c.isspace() for c in text) > 0.85 * len(text))
    # The Portuguese manuals have whole pages that nobody translated yet.
    return sorted(text for text in letters if _DETECTOR.detect(text, ("en", "pt")).candidates[0].code == language)
