"""Finds the currency sign of a figure, and compares it with the sign or word beside the figure that answers it.

Pure functions.
"""

from __future__ import annotations

import re

from latimer_server.core.spans import TextSpan

# The currency signs but that of the dollar, which also comes with letters.
SIGNS = "€£¥₹₩₽"
_GAP = "[ \u00a0\u202f]"
_BEFORE = re.compile(rf"(?:(?<![^\W_])(?:R|US|A|C|NZ|HK|MX){_GAP}?\$|(?<![\w$])\$|[{SIGNS}]){_GAP}?$")
_AFTER = re.compile(rf"{_GAP}?[{SIGNS}$](?!\w)")
_ANY = re.compile(rf"[$£€¥₹₩₽]{_GAP}?\d|\d{_GAP}?[{SIGNS}]")
# Stems of the names and codes of each currency in the languages of most requests, in lower case.
_STEMS = {
    "$": re.compile(r"\b(?:d[oóò]l+a|usd|us\$|buck|grand)"),
    "R$": re.compile(r"\b(?:rea(?:l|is)\b|reales|brl)"),
    "€": re.compile(r"\b(?:euro|eur\b)"),
    "£": re.compile(r"\b(?:pound|libra|pfund|livre|sterl|esterl|quid|gbp)"),
    "¥": re.compile(r"\b(?:yen|ien|jen|yuan|jpy|cny|rmb|renminbi)"),
    "₹": re.compile(r"\b(?:rup|inr\b)"),
    "₩": re.compile(r"\b(?:won|krw)"),
    "₽": re.compile(r"\b(?:rubl|roubl|rublo|rub\b)"),
}
_LONGEST_SIGN = 6
# Code points around a figure in which the name of its currency is sought.
_WINDOW = 28
# Letters from here on are of scripts whose names of currencies are not in the table.
_FIRST_OTHER = "\u0370"


def has_currency_sign(text: str) -> bool:
    """Returns True if a figure of `text` has a currency sign."""
    return _ANY.search(text) is not None


def find_sign_before(text: str, start: int) -> TextSpan:
    """Returns the span of the currency sign directly before offset `start`, with the space after it; empty without."""
    match = _BEFORE.search(text[max(0, start - _LONGEST_SIGN) : start])
    return TextSpan(start - len(match.group()), start) if match else TextSpan(start, start)


def find_sign_after(text: str, end: int) -> TextSpan:
    """Returns the span of the currency sign directly behind offset `end`, with the space before it; empty without."""
    match = _AFTER.match(text, end)
    return TextSpan(*match.span()) if match else TextSpan(end, end)


def name_currency(sign: str) -> str:
    """Returns the canonical sign of a currency: `US $` and `US$` are `$`."""
    bare = re.sub(_GAP, "", sign)
    return "$" if bare in ("US$", "USD") else bare


def names_currency(text: str, place: TextSpan, sign: str) -> bool | None:
    """Returns True if the words around a figure name the currency of `sign` (a canonical sign).

    Returns False if they name another currency, None if they name none. A text in another script than Latin counts as
    naming it, because its names are unknown. `place`: the span of the figure in `text`.
    """
    around = text[max(0, place.start - _WINDOW) : place.start] + "\n" + text[place.end : place.end + _WINDOW]
    words = around.lower()
    if sign not in _STEMS or any(letter >= _FIRST_OTHER and letter.isalpha() for letter in words):
        return True
    if _STEMS[sign].search(words):
        return True
    behind = text[place.end : place.end + _WINDOW].lower()
    return False if any(stem.search(behind) for stem in _STEMS.values()) else None
