"""Finds postal addresses: a street with its number, and a postal code with its city.

Models translate names of streets (`Rua Nova` becomes `New Street`) and put another city in the place of one that they
do not know. Every pattern takes linear time in the text. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan

_NAME = r"[A-ZÀ-ÖØ-Þ][\w'’-]{0,31}"
_NAMES = rf"{_NAME}(?: (?:d[aeo]s? |e )?{_NAME}){{0,4}}"
_STREET_SIGNS = ("Rua ", "Av. ", "Avenida ", "Travessa ", "Alameda ", "Praça ", "Estrada ", "Rodovia ", "Largo ")
# `Rua das Flores, 123`: a number follows, so that a street in prose is left to the model.
_STREET = re.compile(
    rf"(?<!\w)(?:Rua|Av\.|Avenida|Travessa|Alameda|Praça|Estrada|Rodovia|Largo) (?:d[aeo]s? )?(?:{_NAMES}|\d{{1,2}} de"
    rf" {_NAME}),? (?:n[.º°]{{1,2}} ?)?\d{{1,5}}(?!\w)"
)
_ROAD_SIGNS = ("Street", "St.", "Road", "Rd.", "Avenue", "Ave", "Lane", "Drive", "Boulevard", "Blvd", "Way", "Square")
# `12 Hill Road`: behind a number, with capitals.
_ROAD = re.compile(
    rf"(?<![\w.,])\d{{1,5}}[A-Z]? (?:[NSEW]\.? )?(?:{_NAME} ){{1,3}}"
    r"(?:Street|St\.|Road|Rd\.|Avenue|Ave\b\.?|Lane|Drive|Boulevard|Blvd\b\.?|Way|Square)(?!\w)"
)
_CODE_SIGN = re.compile(r"\d{5}")
# `01234-000 São Paulo - SP`, `1000-001 Lisboa`, and `Austin, TX 78701`.
_CITY = re.compile(
    rf"(?<![\w-])(?:\d{{5}}-\d{{3}}|\d{{4}}-\d{{3}}),? {_NAMES}(?: ?[-/–] ?[A-Z]{{2}}(?!\w))?"
    rf"|(?<!\w){_NAME}(?: {_NAME}){{0,2}}, [A-Z]{{2}} \d{{5}}(?:-\d{{4}})?(?!\w)"
)
_POSTAL_SIGN = re.compile(r"\d{4}-\d{3}")


def find_addresses(text: str) -> Iterator[TextSpan]:
    """Yields the spans of streets with their number and of cities with their postal code."""
    if any(sign in text for sign in _STREET_SIGNS):
        yield from (TextSpan(*match.span()) for match in _STREET.finditer(text))
    if any(sign in text for sign in _ROAD_SIGNS):
        yield from (TextSpan(*match.span()) for match in _ROAD.finditer(text))
    if ("-" not in text and ", " not in text) or not any(digit in text for digit in "0123456789"):
        return
    if _POSTAL_SIGN.search(text) or _CODE_SIGN.search(text):
        yield from (TextSpan(*match.span()) for match in _CITY.finditer(text))
