"""Compares figures that are repeated in words in brackets, as contracts and cheques have them: `60 (sixty) days`."""

from __future__ import annotations

import re

from latimer_server.text.checks.cardinals import read_words
from latimer_server.text.checks.number_words import WORDS

_SPELLED = re.compile(r"(?<![\d.,])(\d{1,4}) ?\(([^\W\d_]+(?:[ -][^\W\d_]+){0,5})\)")


def has_wrong_spelling(source: str, output: str, source_language: str, target_language: str) -> bool:
    """Returns True if an output has other words in brackets behind a figure than its number, and the source has not.

    Returns False if a language (BCP-47 code) has no table of number words.
    """
    if "(" not in source or "(" not in output:
        return False
    bases = source_language.split("-", 1)[0].lower(), target_language.split("-", 1)[0].lower()
    if not all(base in WORDS for base in bases):
        return False
    spelled = {match[1] for match in _SPELLED.finditer(source) if _means(match[2], match[1], bases[0])}
    return any(match[1] in spelled and not _means(match[2], match[1], bases[1]) for match in _SPELLED.finditer(output))


def _means(words: str, figure: str, base: str) -> bool:
    possible, clear = read_words(words, base)
    return any(str(int(figure)) in values for values in (*possible, *clear))
