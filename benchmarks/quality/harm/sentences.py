"""Chooses the sentences of the report, always the same ones: pairs of English and Portuguese of several kinds."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality.fidelity.prose import choose_sentences
from benchmarks.quality.harm.catalogues import read_catalogues
from benchmarks.quality.harm.documents import read_help, read_manual_pages
from benchmarks.quality.harm.parallel import Pair, choose_pairs

_TEXTS = Path(__file__).parent / "texts.toml"
# The number of pairs of each kind that have translations by people.
_COUNTS = {"manuals": 900, "man pages": 500, "software": 900, "titles": 350, "dialogue": 600}
# Sentences of manuals without a translation at the same place.
_PROSE = 300
_LANGUAGES = ("en", "pt")


@dataclass(frozen=True)
class Sentence:
    """A sentence to translate. `reference`: its translation by a person, or ""."""

    text: str
    reference: str
    kind: str
    origin: str


def read_sentences() -> dict[tuple[str, str], list[Sentence]]:
    """Returns the sentences of both directions; the keys are pairs of source and target language."""
    pairs = [*read_catalogues(), *read_help(), *read_manual_pages()]
    chosen = [
        pair
        for kind, count in _COUNTS.items()
        for pair in choose_pairs((pair for pair in pairs if pair.kind == kind), count)
    ]
    return {
        (source, target): _take_side(chosen, source) + _read_unpaired(source)
        for source, target in (_LANGUAGES, _LANGUAGES[::-1])
    }


def _take_side(pairs: Sequence[Pair], source: str) -> list[Sentence]:
    return [
        Sentence(pair.english, pair.portuguese, pair.kind, pair.origin)
        if source == "en"
        else Sentence(pair.portuguese, pair.english, pair.kind, pair.origin)
        for pair in pairs
    ]


def _read_unpaired(language: str) -> list[Sentence]:
    """Returns sentences without a translation: prose of Debian's manuals, headlines and prices."""
    texts = tomllib.loads(_TEXTS.read_text("utf-8"))
    prose = [Sentence(text, "", "manuals", "Debian manuals") for text in choose_sentences(language, _PROSE)]
    return prose + [
        Sentence(text, "", kind, _TEXTS.name) for kind in ("headlines", "prices") for text in texts[kind][language]
    ]
