"""Compares the numbers of a translation with those of its source, in any notation of their languages.

Only values count; order, signs and units do not. The module `numerals` reads the numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from latimer_server.core.languages import primary_subtag
from latimer_server.core.scripts import HAN_LANGUAGES
from latimer_server.text.checks.cardinals import Values
from latimer_server.text.checks.number_words import CLEAR_WORDS, WORDS
from latimer_server.text.checks.numerals import FIGURES, Numbers, find_decimal_mark, read_numbers
from latimer_server.text.checks.repetition import split_words

_DIGIT = re.compile("\\d")
_SIGNS = re.compile("[¼-¾⅐-⅞]")
# A figure with groups of thousands. In a language that writes 1.234, the figure 1,234 is another number, so equal
# figures of source and output may differ in value.
_GROUPED = re.compile("(?<![\\d.,])[1-9]\\d{0,2}[.,]\\d{3}(?![\\d.,]*\\d)")
# Up to this many protected spans with digits are cut from the texts before their numbers are read. Of more spans, the
# numbers are read too, and ignored wherever else they are in the texts.
_MAX_CUT_SPANS = 32
# The largest number that texts often have in words. Up to here, a figure may be missing from a text in a language whose
# number words cannot be read.
_SMALL = 12
_SCALES = {language: frozenset(words.scales) for language, words in WORDS.items()}
# A text with more runs of digits than these is data, not a sentence: its runs of digits are compared as they are.
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
    """Returns True if `output` lacks a number of `source`, or has one that `source` lacks.

    A number in figures must be in the other text, in figures or words (`3` and `três`, `XIX` and `19th`). Numbers in
    words are compared only if both texts have words that always count something. Languages are BCP-47 codes.
    `protected`: texts of protected spans, which are ignored. `source_words` and `output_words`: the results of
    `repetition.split_words`, if the caller has them.
    """
    words = split_words(source) if source_words is None else source_words
    others = split_words(output) if output_words is None else output_words
    bases = primary_subtag(source_language), primary_subtag(target_language)
    has_clear_words = _both_have(words, others, CLEAR_WORDS.get(bases[0]), CLEAR_WORDS.get(bases[1]))
    if not _DIGIT.search(source) and not _DIGIT.search(output) and (source.isascii() or not _SIGNS.search(source)):
        # If only the output has a fraction sign, words of the source decide.
        return has_clear_words and _differ(source, output, source_language, target_language, ())
    spans = [span for span in dict.fromkeys(protected) if _DIGIT.search(span)]
    uncut: tuple[str, ...] = ()
    if len(spans) <= _MAX_CUT_SPANS:
        for span in sorted(spans, key=len, reverse=True):
            source, output = source.replace(span, " ; "), output.replace(span, " ; ")
    else:
        uncut = tuple(spans)
    source_figures, output_figures = FIGURES.findall(source), FIGURES.findall(output)
    if not has_clear_words and (source_figures == output_figures or sorted(source_figures) == sorted(output_figures)):
        marks = find_decimal_mark(source_language), find_decimal_mark(target_language)
        same_values = marks[0] == marks[1] or not any(_GROUPED.fullmatch(figure) for figure in source_figures)
        if same_values and not _both_have(words, others, _SCALES.get(bases[0]), _SCALES.get(bases[1])):
            return False
    return _differ(source, output, source_language, target_language, uncut)


def _both_have(
    words: Sequence[str],
    others: Sequence[str],
    source_table: frozenset[str] | None,
    target_table: frozenset[str] | None,
) -> bool:
    """Returns True if each text has a word of its language's table; False if a language has no table."""
    if source_table is None or target_table is None:
        return False
    return not source_table.isdisjoint(words) and not target_table.isdisjoint(others)


def _differ(source: str, output: str, source_language: str, target_language: str, uncut: Sequence[str]) -> bool:
    """Returns True if the numbers of the texts differ in both readings of `read_numbers`, joined and not.

    `uncut`: texts of protected spans whose numbers are ignored.
    """
    bare = sorted(_DIGITS.findall(source)), sorted(_DIGITS.findall(output))
    if max(map(len, bare)) > _MAX_FIGURES:
        return bare[0] != bare[1]
    for joined in (True, False):
        expected = read_numbers(source, source_language, joined=joined)
        written = read_numbers(output, target_language, joined=joined)
        if uncut:
            expected = _leave_out(expected, uncut, source_language)
            written = _leave_out(written, uncut, target_language)
        if _agree(
            expected,
            written,
            source_has_words=_has_words(source_language),
            target_has_words=_has_words(target_language),
        ):
            return False
    return True


def _leave_out(numbers: Numbers, spans: Sequence[str], language: str) -> Numbers:
    """Returns the numbers without the figures and codes that are also in one of `spans`: texts of protected spans."""
    read = [read_numbers(span, language) for span in spans]
    ignored = {values for found in read for values in (*found.figures, *found.codes)}
    return replace(
        numbers,
        figures=[values for values in numbers.figures if values not in ignored],
        codes=[values for values in numbers.codes if values not in ignored],
    )


def _has_words(language: str) -> bool:
    """Returns True if the server can read numbers in words of a language (BCP-47 code)."""
    base = primary_subtag(language)
    return base in WORDS or base in HAN_LANGUAGES


class _NumberPool:
    """The mentions of numbers in one text. A number of the other text claims a mention that has a value in common.

    Each mention can be claimed once.
    """

    def __init__(self, mentions: Sequence[Values]) -> None:
        self._mentions = mentions
        self._free: defaultdict[str, list[int]] = defaultdict(list)
        self._taken: set[int] = set()
        for index in range(len(mentions) - 1, -1, -1):
            for value in mentions[index]:
                self._free[value].append(index)

    def claim(self, values: Values) -> bool:
        """Claims a free mention that has one of the values, tried in their order. Returns False if there is none."""
        for value in values:
            indices = self._free.get(value)
            while indices:
                index = indices.pop()
                if index not in self._taken:
                    self._taken.add(index)
                    return True
        return False

    def list_free(self, start: int = 0) -> list[Values]:
        """Returns the values of the unclaimed mentions, from the mention at index `start` on."""
        return [values for index, values in enumerate(self._mentions[start:], start) if index not in self._taken]


def _claim_all(wanted: Sequence[Values], pool: _NumberPool) -> list[Values]:
    """Claims a mention of the pool for each of `wanted`, and returns those of `wanted` that found none.

    Those with fewer possible values claim first.
    """
    return [values for values in sorted(wanted, key=len) if not pool.claim(values)]


def _agree(expected: Numbers, written: Numbers, *, source_has_words: bool, target_has_words: bool) -> bool:
    """Returns True if the numbers of the source (`expected`) and of its translation (`written`) match.

    Each figure must have a number of equal value in the other text, or be one that is there in words that cannot be
    read. Figures match figures first, and words match words; only the rest may match a figure with a word. Clear words
    may lack a match in one of the texts, but not in both.
    """
    pool = _NumberPool(written.figures + written.codes)
    lost_codes = _claim_all(expected.codes, pool)
    lost_figures = _claim_all(expected.figures, pool)
    if lost_codes or pool.list_free(len(written.figures)):
        return False
    added_figures = pool.list_free()
    output_words = _NumberPool(written.clear + written.words)
    source_words = _NumberPool(_claim_all(expected.clear + expected.words, output_words))
    lost_figures = _claim_all(lost_figures, output_words)
    added_figures = _claim_all(added_figures, source_words)
    if not all(_may_be_unread_word(values, has_words=target_has_words) for values in lost_figures):
        return False
    if not all(_may_be_unread_word(values, has_words=source_has_words) for values in added_figures):
        return False
    lost_words = _intersects(source_words.list_free(), expected.clear)
    return not (lost_words and _intersects(output_words.list_free(), written.clear))


def _intersects(left: Sequence[Values], clear: Sequence[Values]) -> bool:
    return not frozenset(left).isdisjoint(clear)


def _may_be_unread_word(values: Values, *, has_words: bool) -> bool:
    """Returns True if a figure without a match may be in the other text as a word that cannot be read.

    That is an integer up to 12, if the other text's language has no table of number words (`has_words` False).
    """
    return not has_words and values[0].isdigit() and len(values[0]) < 3 and int(values[0]) <= _SMALL
