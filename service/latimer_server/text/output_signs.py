"""Repairs signs of an output that its source has in another form.

These are spaces before closing signs, words in brackets, decimal marks before superscripts, and signs of numbers. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.languages import primary_subtag
from latimer_server.text.checks.numerals import find_decimal_mark
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# A space before a sign that closes a sentence or clause, or before the star of a field that is required. Smileys and
# names such as `.NET` have more behind the sign.
_SPACED = re.compile(r"(?<=[^\W_]) (?P<sign>[.,;:!?*])(?=$|[\s\"”»)])")
# Languages that write a space before some signs.
_SPACED_LANGUAGES = frozenset({"fr"})
_BRACKETS = (re.compile(r"\[([^\[\]()]{3,80})\]"), re.compile(r"\(([^\[\]()]{4,80})\)"))
_POWER_SIGN = re.compile(r"\d[¹²³⁰⁴-⁹⁺⁻]")
_POWER = re.compile(r"(?<![\d.,])\d{1,20}(?P<mark>[.,])\d{1,20}[¹²³⁰⁴-⁹⁺⁻]")
_NUMBER_SIGN = re.compile(r"(?<!\w)[Nn]º\.?(?= ?\d)")
_WORDS = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+)*")
# A shorter word in capitals is often an acronym or a unit.
_LEAST_CAPITALS = 3


def remove_spaces_before_signs(source: ProtectedText, output: ProtectedText, target: str) -> Iterator[Edit]:
    """Yields the removal of spaces before closing signs of an output, if its source has no space before such a sign.

    `target`: BCP-47 code of the output. Yields nothing for French, which has its own rules.
    """
    if _SPACED.search(output.text) is None or primary_subtag(target) in _SPACED_LANGUAGES:
        return
    for part in list_unprotected(output):
        for match in _SPACED.finditer(output.text, part.start, part.end):
            if f" {match['sign']}" not in source.text:
                yield Edit(match.start(), match.start() + 1, "")


def raise_brackets(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of the words in brackets of an output by capitals, if those of the source are capitals.

    The brackets answer each other in their order, if both texts have as many.
    """
    text = source.text
    if "[" not in text and "(" not in text:
        return
    for pattern in _BRACKETS:
        found = pattern.findall(text)
        if not any(_is_capitals(words) for words in found):
            continue
        written = list(pattern.finditer(output.text))
        if len(written) != len(found):
            continue
        parts = list_unprotected(output)
        for words, match in zip(found, written, strict=True):
            start, end = match.span(1)
            if not _is_capitals(words) or match[1].isupper() or not _WORDS.fullmatch(match[1]):
                continue
            if any(part.start <= start and end <= part.end for part in parts):
                yield Edit(start, end, match[1].upper())


def write_powers(source: ProtectedText, output: ProtectedText, languages: tuple[str, str]) -> Iterator[Edit]:
    """Yields the replacement of the decimal mark of a figure before a superscript, as in `3,5²`, by the target's.

    The superscript is protected with the digits before it. `languages`: BCP-47 codes of source and target.
    """
    if output.text.isascii() or _POWER_SIGN.search(output.text) is None:
        return
    marks = find_decimal_mark(languages[0]), find_decimal_mark(languages[1])
    if set(marks) != {".", ","}:
        return
    for match in _POWER.finditer(output.text):
        if match["mark"] == marks[0] and match.group() in source.text:
            yield Edit(*match.span("mark"), marks[1])


def write_number_signs(output: ProtectedText, target: str) -> Iterator[Edit]:
    """Yields the replacement of `Nº` before a figure of an English output by `No.`. `target`: its BCP-47 code."""
    if "º" not in output.text or primary_subtag(target) != "en":
        return
    for part in list_unprotected(output):
        for match in _NUMBER_SIGN.finditer(output.text, part.start, part.end):
            yield Edit(*match.span(), "No.")


def _is_capitals(words: str) -> bool:
    """Returns True if a text is words in capitals; one with a character that is no letter is a code."""
    return words.isupper() and _WORDS.fullmatch(words) is not None and len(words) >= _LEAST_CAPITALS
