"""Writes whole numbers below a thousand millions in words of English and Portuguese. Pure functions."""

from __future__ import annotations

_EN_NAMES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
_PT_NAMES = """
    zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete dezoito
    dezenove
"""
# The names of tens and hundreds, from two and from one on.
_EN_TEN_NAMES = "twenty thirty forty fifty sixty seventy eighty ninety"
_PT_TEN_NAMES = "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"
_PT_HUNDRED_NAMES = "cento duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"
_EN_SMALL, _PT_SMALL = _EN_NAMES.split(), _PT_NAMES.split()
_EN_TENS, _PT_TENS, _PT_HUNDREDS = _EN_TEN_NAMES.split(), _PT_TEN_NAMES.split(), _PT_HUNDRED_NAMES.split()
_LIMIT = 10**9


def write_cardinal(number: int, base: str) -> str | None:
    """Returns a number in words. `base`: "en" or "pt". Masculine in Portuguese.

    Returns None for another language, and for a number that is negative or has more than nine digits.
    """
    if not 0 <= number < _LIMIT:
        return None
    if base == "en":
        return _write_english(number)
    return _write_portuguese(number) if base == "pt" else None


def has_gender(number: int) -> bool:
    """Returns True if the words of a number depend on the gender of what it counts in Portuguese."""
    thousands = number // 1_000 % 1_000
    groups = number % 1_000, 0 if thousands == 1 else thousands  # `mil` alone has no gender
    return any(group >= 200 or (group % 10 in (1, 2) and group % 100 not in (11, 12)) for group in groups)


def _write_english(number: int) -> str:
    for size, name in ((10**6, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {_write_english(number % size)}" if number % size else ""
            return f"{_write_english(number // size)} {name}{rest}"
    if number < 20:
        return _EN_SMALL[number]
    return _EN_TENS[number // 10 - 2] + (f"-{_EN_SMALL[number % 10]}" if number % 10 else "")


def _write_portuguese(number: int) -> str:
    for size in (10**6, 1_000):
        if number >= size:
            many, rest = divmod(number, size)
            if size == 1_000:
                head = "mil" if many == 1 else f"{_write_portuguese(many)} mil"
            else:
                head = "um milhão" if many == 1 else f"{_write_portuguese(many)} milhões"
            if not rest:
                return head
            # A last part that is one word follows `e`: `mil e quinhentos`, but `mil quinhentos e dez`.
            joiner = " e " if rest < 100 or (rest < 1_000 and rest % 100 == 0) else " "
            return head + joiner + _write_portuguese(rest)
    if number < 20:
        return _PT_SMALL[number]
    if number < 100:
        return _PT_TENS[number // 10 - 2] + (f" e {_PT_SMALL[number % 10]}" if number % 10 else "")
    if number == 100:
        return "cem"
    return _PT_HUNDREDS[number // 100 - 1] + (f" e {_write_portuguese(number % 100)}" if number % 100 else "")
