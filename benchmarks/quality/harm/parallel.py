"""A text in English and in Portuguese, and the conditions under which two texts are a usable pair."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sentencex

_MOST_WORDS = 45
_LEAST_LETTERS = 0.6
# A translation of the other text is between a third and three times as long.
_MOST_RATIO = 3.0
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation by a person. Either is "" if there is none. `kind`: the row of the report."""

    english: str
    portuguese: str
    kind: str
    origin: str

    def key(self) -> bytes:
        """Returns a digest that orders pairs at random, always in the same way."""
        return hashlib.sha256(f"{self.english}\n{self.portuguese}".encode()).digest()


def divide_pair(english: str, portuguese: str, kind: str, origin: str) -> Iterator[Pair]:
    """Yields the pairs of sentences of two paragraphs; nothing if their numbers of sentences differ."""
    sides = [
        [sentence.strip() for sentence in sentencex.segment(language, _BLANKS.sub(" ", text).strip())]
        for language, text in (("en", english), ("pt", portuguese))
    ]
    sentences = [[sentence for sentence in side if sentence] for side in sides]
    if len(sentences[0]) == len(sentences[1]):
        for first, second in zip(*sentences, strict=True):
            yield Pair(first, second, kind, origin)


def is_usable(pair: Pair) -> bool:
    """True if both texts are short prose in one line and one may be a translation of the other."""
    first, second = pair.english, pair.portuguese
    longer, shorter = sorted((len(first), len(second)), reverse=True)[:2]
    return first != second and longer <= _MOST_RATIO * shorter and _is_prose(first) and _is_prose(second)


def choose_pairs(pairs: Iterable[Pair], count: int) -> list[Pair]:
    """Returns `count` usable pairs, drawn at random and always the same ones; no sentence occurs twice."""
    chosen: list[Pair] = []
    seen: set[str] = set()
    for pair in sorted({pair for pair in pairs if is_usable(pair)}, key=Pair.key):
        if len(chosen) < count and pair.english not in seen and pair.portuguese not in seen:
            chosen.append(pair)
            seen |= {pair.english, pair.portuguese}
    return chosen


def _is_prose(text: str) -> bool:
    letters = sum(character.isalpha() or character.isspace() for character in text)
    return (
        2 <= len(text.split()) <= _MOST_WORDS
        and letters >= _LEAST_LETTERS * len(text)
        and not re.search(r"[\n\t]", text)
    )
