"""Reads figures in the notation of a language, and writes them in the notation of another one.

A notation is a decimal mark: "." for a language that writes 1,234.5, and "," for one that writes 1.234,5. Both group
thousands by the other mark, or by spaces. Pure functions.
"""

from __future__ import annotations

import re

from latimer_server.text.checks.numerals import BEFORE_VERSION

_GAPS = "['’ \u00a0\u2009\u202f]"
# A figure that is valid in the notation with this decimal mark: groups of thousands, then an optional fraction.
_GROUPED = {
    ".": re.compile(rf"[1-9]\d{{0,2}}(?:(?:,\d{{3}})+|(?:{_GAPS}\d{{3}})+)(?:\.\d+)?"),
    ",": re.compile(rf"[1-9]\d{{0,2}}(?:(?:\.\d{{3}})+|(?:{_GAPS}\d{{3}})+)(?:,\d+)?"),
}
_SIMPLE = {".": re.compile(r"\d+(?:\.\d+)?"), ",": re.compile(r"\d+(?:,\d+)?")}
# A figure with the separators of a language with the other decimal mark: groups of thousands, or a quantity's fraction.
_UNIT = (
    r"(?:[¹²³⁰⁴-⁹⁺⁻])|[ \u00a0]?(?:[×÷]|%|‰|°|[kMGTm]?(?:g|m|l|L|B|b|W|Wh|Hz|V|J|Pa)\b|c[ml]\b|[€£¥₹$]|"
    r"(?:million|billion|mil|bilh|milh)\w*|percent|por cento|"
    r"(?:pts?|pp|km/h|mph|kWh|ms|s|h|min|in|ft|yd|mi|gal|lbs?|oz)\b(?!\.\w))"
)
# Text before an amount of money, and before a figure of a formula.
_AMOUNT = r"[€£¥₹$×÷±≈≤≥][ \u00a0]?"
# The text that precedes an amount of money or a figure of a formula, in any notation: a sign, three capitals (which may
# be the code of a currency), or pH.
_BEFORE = rf"(?:{_AMOUNT}|\b[A-Z]{{3}}[ \u00a0]|\bpH )"
# The label and the end of a total in a bill. Several languages write the word alike, so that an output may equal its
# source. Inside a sentence the figure may be an hour, a section or a version.
_TOTAL = r"(?:^|(?<=[\n,;] ))(?:[Ss]ub-?)?(?:[Tt]otal|TOTAL):?[ \u00a0]{1,4}"
_TOTAL_END = r"(?=$|\n|[,;] (?:sub-?)?total\b)"
_FOREIGN = {
    ".": re.compile(rf"\d\.\d{{3}}(?!\d)|\d,\d+(?:{_UNIT})|{_BEFORE}\d+,\d|{_TOTAL}\d+,\d\d{_TOTAL_END}"),
    ",": re.compile(rf"\d,\d{{3}}(?!\d)|\d\.\d+(?:{_UNIT})|{_BEFORE}\d+\.\d|{_TOTAL}\d+\.\d\d{_TOTAL_END}"),
}
_QUANTITY = re.compile(_UNIT)
_BEFORE_TOTAL, _AFTER_TOTAL = re.compile(rf"{_TOTAL}$"), re.compile(_TOTAL_END)
# The text that precedes a quantity: a sign, the code of a currency, or pH.
_BEFORE_QUANTITY = re.compile(
    "(?:[×÷±≈≤≥]|"
    "EUR|USD|GBP|BRL|JPY|CHF|CNY|INR|CAD|AUD|MXN|ARS|CLP|COP|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|KRW|NZD|pH)[ \u00a0]?$"
)
_SEPARATORS = re.compile(rf"[.,]|{_GAPS}")
_SWAPPED = str.maketrans(".,", ",.")
_THREE_DECIMALS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
# The number of code points before a figure that tell whether it is a version.
CONTEXT = 24


def is_grouped(figure: str, mark: str) -> bool:
    """Returns True if a figure has groups of thousands in the notation with this decimal mark."""
    pattern = _GROUPED.get(mark)
    return pattern is not None and pattern.fullmatch(figure) is not None


def is_quantity(before: str, after: str) -> bool:
    """Returns True if the texts around a figure say that it counts money or a unit: `EUR 5`, `5 kg`, `Total 5`."""
    if _QUANTITY.match(after) is not None or _BEFORE_QUANTITY.search(before) is not None:
        return True
    return _AFTER_TOTAL.match(after) is not None and _BEFORE_TOTAL.search(before) is not None


def has_foreign_figure(text: str, mark: str) -> bool:
    """Returns True if a figure of a text may be in another notation than that with this decimal mark.

    A number with three decimals looks like one with groups of thousands. Returns False if `mark` is "".
    """
    return mark in _FOREIGN and _FOREIGN[mark].search(text) is not None


def read_figure(figure: str, mark: str) -> str | None:
    """Returns the value of a figure as a decimal string without needless zeros, such as "1234.5" for `1.234,50`.

    `mark`: the decimal mark of its language, "" if both are usual. Returns None if the figure is not valid in that
    notation, and if only a figure without separators could be read.
    """
    if figure.isdigit():
        return figure.lstrip("0") or "0"
    if mark not in _SIMPLE or not (is_grouped(figure, mark) or _SIMPLE[mark].fullmatch(figure)):
        return None
    whole, _, fraction = figure.partition(mark)
    whole, fraction = _SEPARATORS.sub("", whole).lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def list_digits(figure: str) -> str:
    """Returns the digits of a figure without its separators."""
    return _SEPARATORS.sub("", figure)


def convert_figure(figure: str, marks: tuple[str, str], before: str = "", *, is_money: bool = False) -> str:
    """Returns a figure in the notation of the target language.

    `marks`: the decimal marks of source and target, "" if both are usual. `before`: the text before the figure.
    `is_money`: it has a currency sign. It stays as it is if the marks do not differ, if it is not valid in the notation
    of the source, if it is a version, and if it is an amount of money with three decimals, which is more likely an
    amount in the notation of another language.
    """
    if set(marks) != {".", ","} or read_figure(figure, marks[0]) is None:
        return figure
    is_version = figure.count(".") == 1 and "," not in figure and BEFORE_VERSION.search(before[-CONTEXT:])
    if is_version and not _BEFORE_QUANTITY.search(before):
        return figure
    if is_money and _THREE_DECIMALS.fullmatch(figure) and not is_grouped(figure, marks[0]):
        return figure
    return figure.translate(_SWAPPED)
