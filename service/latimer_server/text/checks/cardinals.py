"""Reads the numbers of a text that are not in plain figures: number words, Roman and Chinese numerals, superscripts.

Uses the tables of `number_words`. Takes linear time in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from latimer_server.core.scripts import HAN_LANGUAGES
from latimer_server.text.checks.number_words import WORDS, NumberWords

# The possible values of one mention of a number, likeliest first, as decimal strings without needless zeros ("1234.5").
Values = tuple[str, ...]

_WORD = re.compile("[^\\W\\d_]+(?:[-'’][^\\W\\d_]+)*")
_ROMAN = re.compile("(?<![^\\W_])[IVX]{1,7}(?![^\\W_])")
# In English, `I` counts as a Roman numeral only after a word that ends in a small letter, as in `World War I`, and not
# before a word that begins with one, since that is likely a verb.
_ENGLISH_ONE = re.compile("(?<=[a-z] )I(?![\\w'’]| [a-z])")
_SMALL_DIGITS = re.compile("[⁰¹²³⁴-⁹]+")
HAN_SCALES = {"十": 1, "百": 2, "千": 3, "万": 4, "萬": 4, "亿": 8, "億": 8, "兆": 12}
_HAN = re.compile("[〇零一二兩两三四五六七八九十百千万萬亿億兆]+")
_HAN_FIGURES = ("〇零", "一", "二兩两", "三", "四", "五", "六", "七", "八", "九")
_HAN_DIGITS = {character: value for value, group in enumerate(_HAN_FIGURES) for character in group}
_MAX_NUMBER_WORDS = 64


def read_words(text: str, base: str) -> tuple[list[Values], list[Values]]:
    """Returns two lists of numbers that are not in plain figures: possible ones, and those that always count something.

    Possible ones may mean something else (`one`, `second`, `XI`), or are superscripts. `base`: the base code of the
    language, such as `pt`.
    """
    possible: list[Values] = [(_read_small_digits(match.group()),) for match in _SMALL_DIGITS.finditer(text)]
    clear: list[Values] = []
    for match in _ROMAN.finditer(text):
        value = _ROMAN_VALUES.get(match.group())
        if value and (value != "1" or base != "en" or _ENGLISH_ONE.match(text, match.start())):
            possible.append((value,))
    if base in HAN_LANGUAGES:
        possible += [_read_han(match.group()) for match in _HAN.finditer(text)]
    words = WORDS.get(base)
    if words is not None:
        for values, is_clear in _read_cardinals(text, words):
            (clear if is_clear else possible).append(values)
    return possible, clear


def _read_small_digits(text: str) -> str:
    return "".join(str(unicodedata.digit(c)) for c in text).lstrip("0") or "0"


def _read_cardinals(text: str, words: NumberWords) -> Iterator[tuple[Values, bool]]:
    """Yields the possible values of each number in words, and whether it always counts something."""
    pending: list[str] = []
    end = -1
    for match in _WORD.finditer(text.lower()):
        token = match.group()
        pieces = [token] if token in words.plain or token in words.loose else token.split("-")
        if match.start() - end > 1:
            yield from _finish(pending, words)
        end = match.end()
        for word in pieces:
            if word in words.plain or word in words.scales:
                pending.append(word)
                continue
            if not (pending and word in words.joiners):
                yield from _finish(pending, words)
            if word in words.loose:
                yield words.loose[word], False
    yield from _finish(pending, words)


def _finish(pending: list[str], words: NumberWords) -> Iterator[tuple[Values, bool]]:
    """Yields the numbers of a run of number words, as `_read_cardinals` does, and empties the list `pending`.

    A run may be several numbers: `three four` is two, `twenty five` one.
    """
    total = current = 0
    taken: list[str] = []

    def close() -> tuple[Values, bool]:
        parts = [str(words.plain[w]) if w in words.plain else str(10 ** words.scales[w][0]) for w in taken]
        ordinal = [value for w in taken for value in words.loose.get(w, ())]
        value = str(total + current)
        clear = len(taken) > 1 or words.plain.get(taken[0], 0) >= 3
        clear = clear and not ordinal and any(words.plain.get(w, 0) >= 3 for w in taken)
        return tuple(dict.fromkeys((value, *parts, *ordinal))), clear

    for word in pending[:_MAX_NUMBER_WORDS]:
        if word in words.scales:
            power = words.scales[word][0]
            if power == 2 and current < 100:
                current = (current or 1) * 100
            else:
                total, current = (total + (current or 1) * 10**power) if power > 2 else total, 0
        else:
            value = words.plain[word]
            if taken and not _continues(current, value, after_scale=total > 0):
                yield close()
                taken, total, current = [], 0, 0
            # 80 is "four twenties" in French.
            current = 80 if (value == 20 and current == 4) else current + value
        taken.append(word)
    if taken:
        yield close()
    pending.clear()


def _continues(current: int, value: int, *, after_scale: bool) -> bool:
    """Returns True if a word of this value continues the number of the words before it, as `five` does after `twenty`.

    `current`: the value of those words since the last thousand or larger scale. `after_scale`: there was such a scale.
    """
    if current == 0:
        return after_scale
    if current == 4 and value == 20:
        return True
    if current % 100 == 0:
        return value < 100
    tens = current % 100
    return (tens % 10 == 0 and tens >= 20 and value < 10) or (tens in (60, 80) and value < 20)


def _read_han(text: str) -> Values:
    """Returns the possible values of a Chinese numeral: its value, then that of each of its digits.

    `二十五` is 25, `三万` is 30000, `二〇二四` is 2024.
    """
    total = section = digit = 0
    for c in text[:_MAX_NUMBER_WORDS]:
        if c in _HAN_DIGITS:
            digit = digit * 10 + _HAN_DIGITS[c]
            continue
        power = HAN_SCALES[c]
        if power < 4:
            section += (digit or 1) * 10**power
        else:
            total, section = total + ((section + digit) or 1) * 10**power, 0
        digit = 0
    value = str(total + section + digit)
    return tuple(dict.fromkeys((value, *(str(_HAN_DIGITS[c]) for c in text[:_MAX_NUMBER_WORDS] if c in _HAN_DIGITS))))


def _list_romans() -> dict[str, str]:
    """Returns the value of each Roman numeral from I to XXXIX, as a decimal string."""
    units = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
    return {ten * "X" + unit: str(10 * ten + i) for ten in range(4) for i, unit in enumerate(units) if ten or unit}


_ROMAN_VALUES = _list_romans()
