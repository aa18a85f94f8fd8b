"""Detects text that a model adds to its translation: brackets, quotation marks and words written twice.

Students add such text to short sources: `Robert` becomes `Robert (em inglês)`, `Cancelar` becomes `Cancel Cancel`. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import eq

from latimer_server.text.checks.repetition import split_words

_BRACKETS = "()[]{}"
_QUOTES = '"“”„«»「」『』'
_MARK = re.compile('[()\\[\\]{}"“”„«»「」『』]')
_OPENING = re.compile('[(\\[{"“„«]')
# Source signs that a translation may write as brackets or quotation marks: other quotation marks, full-width brackets,
# and dashes, which mark speech in Portuguese and parentheses in English.
_SPEECH_DASH = re.compile("(?<!\\S)[-–—]|—")
# A single quotation mark, which is no apostrophe between letters. English often has one where others have a double one.
_SINGLE_QUOTE = re.compile(r"(?<!\w)['‘](?=\w)|(?<=[\w.,!?])['’](?!\w)")
# A figure, letter or Roman numeral in brackets, as in `Article 5(2)(c)`, which other languages write without them.
_REFERENCE = re.compile(r"\((?:\d{1,3}|[a-z]|[ivx]{1,5})\)")
_LEGAL = re.compile(r"(?<!\w)(?:[aA]rt(?:igos?|s?\.)|[aA]líneas?|n\.?º|§|inciso)")
_WIDE_BRACKETS = str.maketrans("（）［］｛｝【】", "()[]{}[]")
# A word or figure twice in a row, with one space between. `package kernel-package` has none.
_DOUBLED = re.compile("(?<![\\w’'-])([^\\W\\d_]{2,})(?: \\1)+(?![\\w’'-])", re.IGNORECASE)
# A unit that comes at least three times in a word with hyphens, such as `sur` in `sur-sur-sur`, or the beginning of a
# word that is repeated behind it, such as `primi` in `multiprimi-primi`.
_HYPHENATED = re.compile("([^\\W\\d_]{2,24})(?:-\\1){2}|(?<=[^\\W\\d_])([^\\W\\d_]{3,24})-\\2", re.IGNORECASE)
# Words that a sentence may rightly have twice in a row: `had had`, `that that`, `se se`.
_OFTEN_DOUBLED = "had that is do so no very bye ha he se que nos para muito mais ou não sim"
_MAY_DOUBLE = frozenset(_OFTEN_DOUBLED.split())


def has_added_marks(source: str, output: str) -> bool:
    """Returns True if `output` has more brackets or quotation marks than `source`.

    Quotation marks of all kinds count as one kind. They do not count if the source has dashes of speech.
    """
    if _MARK.search(output) is None:
        return False
    plain = source if source.isascii() else source.translate(_WIDE_BRACKETS)
    written = output
    if "(" in output and output.count("(") > plain.count("(") and _LEGAL.search(source):
        written = _REFERENCE.sub("", output)
    if any(written.count(sign) > plain.count(sign) for sign in _BRACKETS):
        return True
    single = len(_SINGLE_QUOTE.findall(source))
    added = sum(map(output.count, _QUOTES)) > sum(map(source.count, _QUOTES)) + source.count("''") + single
    return added and not _SPEECH_DASH.search(source)


def has_doubling(
    source: str, output: str, source_words: Sequence[str] | None = None, output_words: Sequence[str] | None = None
) -> bool:
    """Returns True if more words come twice in a row in `output` than in `source`, or are repeated behind a hyphen.

    Words that a sentence may have twice in a row, such as `had`, do not count. `source_words` and `output_words`: the
    results of `repetition.split_words`, if the caller has them.
    """
    words = split_words(output) if output_words is None else output_words
    has_pair = any(map(eq, words, words[1:]))
    if not has_pair and "-" not in output:
        return False
    found = _count_pairs(output, _MAY_DOUBLE) if has_pair else 0
    found += _count_hyphenated(output)
    if not found:
        return False
    others = split_words(source) if source_words is None else source_words
    ordinary = _count_pairs(source, frozenset()) if any(map(eq, others, others[1:])) else 0
    return found > ordinary + _count_hyphenated(source)


def has_addition(source: str, output: str) -> bool:
    """Returns True if `output` has marks or doublings that its source does not have."""
    return has_added_marks(source, output) or has_doubling(source, output)


def _count_pairs(text: str, ignored: frozenset[str]) -> int:
    """Returns how many words come twice in a row, without those in `ignored`."""
    return sum(match[1].lower() not in ignored for match in _DOUBLED.finditer(text))


def _count_hyphenated(text: str) -> int:
    """Returns how many units are repeated behind a hyphen."""
    if "-" not in text:
        return 0
    return sum(1 for word in text.split() if "-" in word for _ in _HYPHENATED.finditer(word))


def trim_addition(source: str, output: str) -> str:
    """Returns the output of a short source without what was added.

    The text ends before the first bracket or quotation mark if the source has none. A word in a row is written once.
    Returns the output unchanged if nothing would be left of it.
    """
    trimmed = output
    if has_added_marks(source, output) and not _OPENING.search(source):
        opening = _OPENING.search(output)
        trimmed = output[: opening.start()] if opening else _MARK.sub("", output)
    if has_doubling(source, trimmed):
        trimmed = _DOUBLED.sub(lambda match: match[1], trimmed)
    trimmed = trimmed.strip()
    return trimmed if any(map(str.isalnum, trimmed)) else output
