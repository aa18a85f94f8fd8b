"""Compares figures that are repeated in words in brackets, as contracts and cheques have them: `60 (sixty) days`."""

from __future__ import annotations

import re

from latimer_server.text.checks.cardinals import read_words
from latimer_server.text.checks.number_words import WORDS

_SPELLED = re.compile(
    r"(?<![\d.,])(\d{1,3}(?:[.,]\d{3}){0,3}|\d{4,9})(?:[.,]\d\d)?(?!\d) ?\(([^\W\d_]+(?:[ -][^\W\d_]+){0,9})\)"
)
_SEPARATORS = re.compile("[.,]")


def has_wrong_spelling(source: str, output: str, source_language: str, target_language: str) -> bool:
    """Returns True if an output has other words in brackets behind a figure than its number, and the source has not.

    Returns False if a language (BCP-47 code) has no table of number words.
    """
    if "(" not in source or "(" not in output:
        return False
    bases = source_language.split("-", 1)[0].lower(), target_language.split("-", 1)[0].lower()
    if not all(base in WORDS for base in bases):
        return False
    spelled = {number for number, words in _find_pairs(source) if _means(words, number, bases[0])}
    return any(number in spelled and not _means(words, number, bases[1]) for number, words in _find_pairs(output))


def _find_pairs(text: str) -> list[tuple[str, str]]:
    """Returns the figures with words in brackets behind them: the digits of the whole number, and the words."""
    return [(_SEPARATORS.sub("", match[1]), match[2]) for match in _SPELLED.finditer(text)]


def _means(words: str, number: str, base: str) -> bool:
    possible, clear = read_words(words, base)
    return any(str(int(number)) in values for values in (*possible, *clear))
