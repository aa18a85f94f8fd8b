"""Chooses the texts that every engine translates, always the same ones, from three Debian manuals in English.

The manuals come from `benchmarks.corpus` and `benchmarks.quality.fidelity.prose`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import sentencex

from benchmarks.corpus import read_paragraphs
from benchmarks.quality.fidelity.prose import read_pages

# Words of the single sentences, and how many words a sentence may differ: there are few long sentences.
LENGTHS = {5: 0, 20: 0, 60: 4}
_SINGLES = 10
# Shorter paragraphs are often headings. 400 longer ones have a little more than 1,000 sentences.
_LEAST_WORDS = 12
_SEED = 5
SHORT_DOCUMENT = 10_000
_SHORT_DOCUMENTS = 8


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of the handbook, its sentences, and its human translation."""

    text: str
    sentences: tuple[str, ...]
    reference: str


@dataclass(frozen=True)
class Texts:
    """The chosen texts. `singles`: sentences by their number of words. `document`: one long text. `pieces`: short
    documents, spread evenly over the long one."""

    paragraphs: tuple[Paragraph, ...]
    singles: dict[int, tuple[str, ...]]
    document: str
    pieces: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of all paragraphs."""
        return tuple(sentence for paragraph in self.paragraphs for sentence in paragraph.sentences)


def read_texts(paragraphs: int, characters: int) -> Texts:
    """Chooses `paragraphs` paragraphs and a document of at most `characters` code points."""
    pairs = dict(zip(read_paragraphs("en-US"), read_paragraphs("pt-BR"), strict=True))
    prose = [Paragraph(text, split_sentences(text), reference) for text, reference in pairs.items()]
    draw = random.Random(_SEED)
    # A paragraph that equals its translation was left untranslated, so it has no reference.
    fitting = [
        paragraph
        for paragraph in prose
        if paragraph.text != paragraph.reference and count_words(paragraph.text) >= _LEAST_WORDS
    ]
    chosen = draw.sample(fitting, paragraphs)
    sentences = sorted({sentence for paragraph in prose for sentence in paragraph.sentences})
    singles = {words: _choose_singles(sentences, words, draw) for words in LENGTHS}
    document = join_paragraphs(list(dict.fromkeys([*pairs, *read_pages("en")])), characters)
    return Texts(tuple(chosen), singles, document, cut_document(document))


def split_sentences(text: str) -> tuple[str, ...]:
    """Splits an English text into sentences."""
    return tuple(sentence.strip() for sentence in sentencex.segment("en", text) if sentence.strip())


def count_words(text: str) -> int:
    """Counts the words between white space."""
    return len(text.split())


def _choose_singles(sentences: Sequence[str], words: int, draw: random.Random) -> tuple[str, ...]:
    fitting = [sentence for sentence in sentences if abs(count_words(sentence) - words) <= LENGTHS[words]]
    return tuple(draw.sample(fitting, min(_SINGLES, len(fitting))))


def join_paragraphs(paragraphs: Sequence[str], characters: int) -> str:
    """Joins whole paragraphs, from the first, up to `characters` code points."""
    size, kept = 0, []
    for paragraph in paragraphs:
        size += len(paragraph) + 2
        if size > characters:
            break
        kept.append(paragraph)
    return "\n\n".join(kept)


def cut_document(document: str) -> tuple[str, ...]:
    """Cuts short documents of whole paragraphs, spread evenly over a long document."""
    step = max((len(document) - SHORT_DOCUMENT) // _SHORT_DOCUMENTS, 1)
    starts = range(0, max(len(document) - SHORT_DOCUMENT, 1), step)[:_SHORT_DOCUMENTS]
    return tuple(
        join_paragraphs(document[start : start + 2 * SHORT_DOCUMENT].split("\n\n")[1:], SHORT_DOCUMENT)
        for start in starts
    )
