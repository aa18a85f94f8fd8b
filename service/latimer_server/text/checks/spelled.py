"""Compares figures that are repeated in words, as contracts and cheques have them: `60 (sixty)`, `sixty (60)`.

Pure functions that take linear time in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.text.checks.cardinals import Values, read_words
from latimer_server.text.checks.number_words import WORDS

_NUMBER = r"(?<![\d.,])(?P<number>\d{1,3}(?:[.,]\d{3}){0,3}|\d{4,9})(?:[.,]\d\d)?(?!\d)(?: ?%)?"
# The words in brackets behind a figure, or a figure in brackets behind words.
_BEHIND = re.compile(_NUMBER + r" ?\((?P<words>[^\W\d_]+(?:(?:,? |-)[^\W\d_]+){0,19})\)")
_BRACKETED = re.compile(rf" \((?:(?:R|US|A|C)?\$ ?|[€£] ?)?{_NUMBER}\)")
_SEPARATORS = re.compile("[.,]")
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W\d_]+")
# The most code points of words before a figure in brackets.
_LONGEST = 200
# Words for currencies and shares behind a number, which a translation has too.
_UNITS = "real reais dollar dollars dólar dólares euro euros cent cents centavo centavos percent per por cento"
UNIT_WORDS = frozenset(_UNITS.split())
# Languages in which every cardinal is read, so that a missing one is a fault.
_READABLE = frozenset({"en", "pt"})


@dataclass(frozen=True)
class SpelledNumber:
    """A number that a text has in figures and in words: its digits without cents, and the span of the words.

    `bracketed`: True if the words are in brackets behind the figures, False if the figures are in brackets.
    """

    digits: str
    words: TextSpan
    bracketed: bool


def find_spelled(text: str, base: str) -> list[SpelledNumber]:
    """Returns the numbers of a text whose figures and words agree. `base`: the base code of its language, as `pt`."""
    if "(" not in text or base not in WORDS:
        return []
    found = [
        SpelledNumber(_read_digits(match), TextSpan(*match.span("words")), bracketed=True)
        for match in _BEHIND.finditer(text)
    ]
    for match in _BRACKETED.finditer(text):
        start = _find_words(text, match.start(), base)
        if start < match.start():
            found.append(SpelledNumber(_read_digits(match), TextSpan(start, match.start()), bracketed=False))
    return [item for item in found if _says(text[item.words.start : item.words.end], item.digits, base)]


def has_wrong_spelling(source: str, output: str, source_language: str, target_language: str) -> bool:
    """Returns True if an output lacks the words of a number that its source has in figures and in words.

    Also if words in brackets behind such a figure begin with another word. Returns False if a language (BCP-47 code)
    has no table of number words.
    """
    if "(" not in source or _DIGIT.search(source) is None:
        return False
    bases = primary_subtag(source_language), primary_subtag(target_language)
    if not all(base in WORDS for base in bases):
        return False
    spelled = {item.digits for item in find_spelled(source, bases[0])}
    if not spelled:
        return False
    if bases[1] in _READABLE and not spelled <= _list_totals(output, bases[1]):
        return True
    pairs = [(_read_digits(match), match["words"]) for match in _BEHIND.finditer(output)]
    return any(
        digits in spelled and not (_says(words, digits, bases[1]) and _is_number(words, bases[1]))
        for digits, words in pairs
    )


def _read_digits(match: re.Match[str]) -> str:
    return str(int(_SEPARATORS.sub("", match["number"])))


def _find_words(text: str, end: int, base: str) -> int:
    """Returns the offset at which the number words directly before an offset begin; `end` without any."""
    table = WORDS[base]
    first = max(0, end - _LONGEST)
    start = end
    for match in reversed(list(_WORD.finditer(text, first, end))):
        word = match.group().lower()
        if text[match.end() : start].strip(" -") or (match.start() == first and first > 0):
            break
        if word in table.plain or word in table.scales or word in table.loose:
            start = match.start()
        elif word in UNIT_WORDS or word in table.joiners:
            end_of_run = match.start()
            if not _continues(text, first, end_of_run, base):
                break
            start = match.start()
        else:
            break
    return start


def _continues(text: str, first: int, end: int, base: str) -> bool:
    """Returns True if the word before an offset is a number or unit too."""
    before = text[first:end].rstrip(" -")
    match = re.search(r"[^\W\d_]+\Z", before[-40:])
    if match is None:
        return False
    word, table = match.group().lower(), WORDS[base]
    return word in table.plain or word in table.scales or word in UNIT_WORDS


def _list_totals(text: str, base: str) -> set[str]:
    possible, clear = read_words(text.replace(",", ""), base)
    return {value for values in (*possible, *clear) for value in _total(values)}


def _total(values: Values) -> Values:
    """Returns the value of all words of a number together, without those of its parts; all values of a single word."""
    return values[:1] if len(values) > 1 and int(values[0].partition(".")[0]) >= 100 else values


def _says(words: str, digits: str, base: str) -> bool:
    return digits in _list_totals(words, base)


def _is_number(words: str, base: str) -> bool:
    """Returns True if words begin with a word for a number."""
    table = WORDS[base]
    first = words.split(" ", 1)[0].lower().rstrip(",")
    return any(first in known or first.split("-", 1)[0] in known for known in (table.plain, table.scales, table.loose))
