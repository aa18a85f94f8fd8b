"""Checks a translation for damage, such as repetition or wrong numbers, and returns a flag for each kind found.

The names of flags are those of the contract's `Flag` enum. Callers pass the language detector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from latimer_server.core.flags import Flag
from latimer_server.text.checks.additions import has_added_marks, has_doubling
from latimer_server.text.checks.copied import is_copy
from latimer_server.text.checks.length import has_odd_length
from latimer_server.text.checks.numbers import has_number_mismatch
from latimer_server.text.checks.repetition import has_loop, split_words
from latimer_server.text.checks.spelled import has_wrong_spelling
from latimer_server.text.checks.unknown_words import has_unknown_word
from latimer_server.text.units import has_unit_mismatch


def check_output(
    source: str, output: str, *, source_language: str, target_language: str, protected: Sequence[str] = ()
) -> tuple[Flag, ...]:
    """Returns the flags of `output` as the translation of `source`, in the order of the contract.

    The flags are REPETITION (also a word twice in a row), COPIED_SOURCE, LENGTH_RATIO (also brackets or quotation marks
    that the source does not have) and NUMBER_MISMATCH (also `60 (sixty)` with other words,
    and another unit of measure).
    Never raises; takes linear time in the length of the texts.
    Languages are BCP-47 codes. `protected`: the texts of the protected spans, whose numbers and words are ignored.
    """
    languages = source_language, target_language
    words, others = split_words(source), split_words(output)
    flags = []
    if has_loop(source, output, target_language, words, others) or has_doubling(source, output, words, others):
        flags.append(Flag.REPETITION)
    if is_copy(source, output, *languages, protected, words, others):
        flags.append(Flag.COPIED_SOURCE)
    if has_odd_length(source, output, *languages) or has_added_marks(source, output):
        flags.append(Flag.LENGTH_RATIO)
    if (
        has_number_mismatch(source, output, *languages, protected, words, others)
        or has_wrong_spelling(source, output, *languages)
        or has_unit_mismatch(source, output, languages)
    ):
        flags.append(Flag.NUMBER_MISMATCH)
    return tuple(flags)


def check_language(
    output: str, target_language: str, is_written_in: Callable[[str, str], bool | None]
) -> tuple[Flag, ...]:
    """Returns WRONG_OUTPUT_LANGUAGE if `output` is clearly not in the target language (a BCP-47 code), else no flag.

    `is_written_in`: returns True if a text is in a language, False if it is in another one, None if that is unknown.
    """
    return (Flag.WRONG_OUTPUT_LANGUAGE,) if is_written_in(output, target_language) is False else ()


def check_words(source: str, output: str, source_language: str, target_language: str) -> tuple[Flag, ...]:
    """Returns UNKNOWN_WORD if `output` has an invented word or one left over from `source`, else no flag.

    `output`: without protected spans. Languages are BCP-47 codes. Never raises; takes linear time.
    """
    return (Flag.UNKNOWN_WORD,) if has_unknown_word(source, output, source_language, target_language) else ()
