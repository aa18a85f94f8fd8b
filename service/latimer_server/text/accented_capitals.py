"""Puts back accented capitals that a vocabulary lacks. Without `Ú` a model writes `Ultima` or `última`.

A word gets its accent if the vocabulary has the word with the accent, in small letters, as a far likelier piece than
without. Pure functions; callers pass the tests for known characters and words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from latimer_server.text.normalization import IsKnown
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# Returns the score of a word in the vocabulary, the higher the more frequent; None if it is unknown.
WordScore = Callable[[str], float | None]

_ACCENTED = {"A": "ÁÂÃÀ", "E": "ÉÊ", "I": "Í", "O": "ÓÔÕ", "U": "Ú"}
_WORD = re.compile(r"(?<![\w'’-])[AEIOU][a-zß-öø-ÿ]{2,}(?![\w'’-])")
# The least score of a frequent word, and how much better it must be than the word without the accent.
_LEAST_SCORE = -13.5
_GAIN = 2.5


def capitalize_accented(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the capital of an output that begins with a small accented letter, if its source begins with a capital."""
    first, written = _find_first(source), _find_first(output)
    if first is None or written is None:
        return
    letter = output.text[written]
    if letter.isascii() or not letter.islower() or not source.text[first].isupper():
        return
    capital = letter.upper()
    if len(capital) == 1:
        yield Edit(written, written + 1, capital)


def restore_accents(
    source: ProtectedText, output: ProtectedText, is_known: IsKnown, score: WordScore
) -> Iterator[Edit]:
    """Yields the accented capital of each word of an output that lost its accent, unless the source has the word."""
    if _WORD.search(output.text) is None:
        return
    for part in list_unprotected(output):
        for match in _WORD.finditer(output.text, part.start, part.end):
            word = match.group()
            capital = None if word in source.text else _find_capital(word, is_known, score)
            if capital is not None:
                yield Edit(match.start(), match.start() + 1, capital)


def _find_capital(word: str, is_known: IsKnown, score: WordScore) -> str | None:
    """Returns the accented capital that begins a word whose accent was lost; None if it is right as it is."""
    rest = word[1:]
    best, capital = _LEAST_SCORE, None
    for accented in _ACCENTED[word[0]]:
        value = None if is_known(accented) else score(accented.lower() + rest)
        if value is not None and value > best:
            best, capital = value, accented
    if capital is None:
        return None
    written, lowered = score(word), score(word.lower())
    return capital if all(other is None or other < best - _GAIN for other in (written, lowered)) else None


def _find_first(guarded: ProtectedText) -> int | None:
    """Returns the offset of the first letter or digit of a text; None if it is protected, or there is none."""
    place = next((index for index, character in enumerate(guarded.text) if character.isalnum()), None)
    if place is None or any(span.start <= place < span.end for span in guarded.spans):
        return None
    return place
