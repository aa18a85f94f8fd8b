"""Whether a translation has the numbers of its source, however each language writes them.

Pure; `numerals` reads the numbers, here they are compared. Only the values count: their order, signs and units don't.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from latimer_server.core.scripts import HAN_LANGUAGES
from latimer_server.text.checks.cardinals import Values
from latimer_server.text.checks.number_words import CLEAR_WORDS, WORDS
from latimer_server.text.checks.numerals import FIGURES, Numbers, find_decimal_mark, read_numbers
from latimer_server.text.checks.repetition import split_words

_DIGIT = re.compile("\\d")
_SIGNS = re.compile("[¼-¾⅐-⅞]")
# 1,234 is another number in a language that writes 1.234: such figures are compared by value though they look alike.
_GROUPED = re.compile("(?<![\\d.,])[1-9]\\d{0,2}[.,]\\d{3}(?![\\d.,]*\\d)")
# More spans than these are not looked for in the text; their numbers may then be missing.
_MAX_CUT_SPANS = 32
_SMALL = 12
_SCALES = {language: frozenset(words.scales) for language, words in WORDS.items()}
# A segment of more figures than these is no sentence but data: its bare digits are compared.
_MAX_FIGURES = 5_000
_DIGITS = re.compile("\\d+|[¼-¾⅐-⅞]")


def has_number_mismatch(
    source: str,
    output: str,
    source_language: str,
    target_language: str,
    protected: Sequence[str] = (),
    source_words: Sequence[str] | None = None,
    output_words: Sequence[str] | None = None,
) -> bool:
    """Whether `output` lacks a number of `source`, or has one that `source` lacks.

    Numbers in figures must be in the other text, in figures or words (`3` and `três`, `XIX` and `19th`); numbers in
    words are compared only where both texts have some that surely count. What stands in `protected` spans is left out.

    The words may be given where they are known (`repetition.split_words`).
    """
    words = split_words(source) if source_words is None else source_words
    others = split_words(output) if output_words is None else output_words
    bases = source_language.split("-", 1)[0].lower(), target_language.split("-", 1)[0].lower()
    worded = _may_differ(words, others, CLEAR_WORDS.get(bases[0]), CLEAR_WORDS.get(bases[1]))
    if not _DIGIT.search(source) and not _DIGIT.search(output) and (source.isascii() or not _SIGNS.search(source)):
        # A fraction sign in the output alone is left to the words of the source.
        return worded and _differ(source, output, source_language, target_language, ())
    spans = [span for span in dict.fromkeys(protected) if _DIGIT.search(span)]
    excused: tuple[str, ...] = ()
    if len(spans) <= _MAX_CUT_SPANS:
        for span in sorted(spans, key=len, reverse=True):
            source, output = source.replace(span, " ; "), output.replace(span, " ; ")
    else:
        excused = tuple(spans)
    mine, theirs = FIGURES.findall(source), FIGURES.findall(output)
    if not worded and (mine == theirs or sorted(mine) == sorted(theirs)):
        marks = find_decimal_mark(source_language), find_decimal_mark(target_language)
        plain = marks[0] == marks[1] or not any(_GROUPED.fullmatch(figure) for figure in mine)
        if plain and not _may_differ(words, others, _SCALES.get(bases[0]), _SCALES.get(bases[1])):
            return False
    return _differ(source, output, source_language, target_language, excused)


def _may_differ(
    words: Sequence[str], others: Sequence[str], mine: frozenset[str] | None, theirs: frozenset[str] | None
) -> bool:
    """Whether both texts have words of their tables."""
    return mine is not None and theirs is not None and not mine.isdisjoint(words) and not theirs.isdisjoint(others)


def _differ(source: str, output: str, source_language: str, target_language: str, excused: Sequence[str]) -> bool:
    """Whether the numbers differ in every reading."""
    bare = sorted(_DIGITS.findall(source)), sorted(_DIGITS.findall(output))
    if max(map(len, bare)) > _MAX_FIGURES:
        return bare[0] != bare[1]
    for joined in (True, False):
        mine = read_numbers(source, source_language, joined=joined)
        theirs = read_numbers(output, target_language, joined=joined)
        if excused:
            mine, theirs = _leave_out(mine, excused, source_language), _leave_out(theirs, excused, target_language)
        known = {"source_has_words": _has_words(source_language), "target_has_words": _has_words(target_language)}
        if _agree(mine, theirs, **known):
            return False
    return True


def _leave_out(numbers: Numbers, spans: Sequence[str], language: str) -> Numbers:
    """The numbers without those that a span has, wherever they stand."""
    read = [read_numbers(span, language) for span in spans]
    known = {values for found in read for values in (*found.figures, *found.codes)}
    return replace(
        numbers,
        figures=[values for values in numbers.figures if values not in known],
        codes=[values for values in numbers.codes if values not in known],
    )


def _has_words(language: str) -> bool:
    base = language.split("-", 1)[0].lower()
    return base in WORDS or base in HAN_LANGUAGES


class _NumberPool:
    """Mentions to be claimed by value, each once."""

    def __init__(self, mentions: Sequence[Values]) -> None:
        self._mentions = mentions
        self._free: defaultdict[str, list[int]] = defaultdict(list)
        self._taken: set[int] = set()
        for index in range(len(mentions) - 1, -1, -1):
            for value in mentions[index]:
                self._free[value].append(index)

    def claim(self, values: Values) -> bool:
        """Takes the first mention that has one of the values and is still free, if there is one."""
        for value in values:
            indices = self._free.get(value)
            while indices:
                index = indices.pop()
                if index not in self._taken:
                    self._taken.add(index)
                    return True
        return False

    def list_free(self, start: int = 0) -> list[Values]:
        """What was not claimed, from an index on."""
        return [values for index, values in enumerate(self._mentions[start:], start) if index not in self._taken]


def _claim_all(wanted: Sequence[Values], pool: _NumberPool) -> list[Values]:
    """What of `wanted` finds nothing of its value. The clear ones choose before the ambiguous."""
    return [values for values in sorted(wanted, key=len) if not pool.claim(values)]


def _agree(mine: Numbers, theirs: Numbers, *, source_has_words: bool, target_has_words: bool) -> bool:
    """Whether each figure has its like on the other side, and the clear words don't contradict each other.

    Figures answer figures first and words words; only what is left may be a word here and a figure there.
    """
    pool = _NumberPool(theirs.figures + theirs.codes)
    codes = _claim_all(mine.codes, pool)
    figures = _claim_all(mine.figures, pool)
    if codes or pool.list_free(len(theirs.figures)):
        return False
    more_figures = pool.list_free()
    words = _NumberPool(theirs.clear + theirs.words)
    more_words = _NumberPool(_claim_all(mine.clear + mine.words, words))
    figures = _claim_all(figures, words)
    more_figures = _claim_all(more_figures, more_words)
    if not all(_is_forgiven(values, has_words=target_has_words) for values in figures):
        return False
    if not all(_is_forgiven(values, has_words=source_has_words) for values in more_figures):
        return False
    return not (_intersects(more_words.list_free(), mine.clear) and _intersects(words.list_free(), theirs.clear))


def _intersects(left: Sequence[Values], clear: Sequence[Values]) -> bool:
    return not frozenset(left).isdisjoint(clear)


def _is_forgiven(values: Values, *, has_words: bool) -> bool:
    """Small numbers may be words that we don't know."""
    return not has_words and values[0].isdigit() and len(values[0]) < 3 and int(values[0]) <= _SMALL
