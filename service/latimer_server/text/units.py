"""Compares the units of measure of a translation with those of its source: models write `0.3 km` for `0.3 mi`.

Units count behind figures only. Pure functions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.text.figures.notation import list_digits
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# Units that measure the same quantity, by their symbols. A model that changes a unit writes another one of its row.
_QUANTITIES = (
    ("km", "mi", "m", "ft", "yd", "cm", "mm"),
    ("kg", "lb", "oz", "g", "mg"),
    ("l", "ml", "gal"),
    ("km/h", "mph"),
    ("°C", "°F"),
    ("kB", "MB", "GB", "TB"),
)
# Other spellings of the symbols in any language.
_SYMBOLS = {"lbs": "lb", "L": "l", "mL": "ml", "KB": "kB", "kph": "km/h", "kmh": "km/h"}
# Symbols that mean something else in a language: `mi` is a million in Portuguese.
_OTHER_MEANINGS = {"pt": ("mi",)}
# Names of units: the singular and plural, then other spellings of both.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "km": "kilometer kilometers kilometre kilometres",
        "mi": "mile miles",
        "m": "meter meters metre metres",
        "ft": "foot feet",
        "yd": "yard yards",
        "cm": "centimeter centimeters centimetre centimetres",
        "kg": "kilogram kilograms kilo kilos",
        "lb": "pound pounds",
        "oz": "ounce ounces",
        "g": "gram grams gramme grammes",
        "l": "liter liters litre litres",
        "gal": "gallon gallons",
    },
    "pt": {
        "km": "quilômetro quilômetros quilómetro quilómetros",
        "mi": "milha milhas",
        "m": "metro metros",
        "ft": "pé pés",
        "yd": "jarda jardas",
        "cm": "centímetro centímetros",
        "kg": "quilograma quilogramas quilo quilos",
        "lb": "libra libras",
        "oz": "onça onças",
        "g": "grama gramas",
        "l": "litro litros",
        "gal": "galão galões",
    },
}
# The number of measures with the same digits, in source and output together, that correspond without doubt.
_ONCE_EACH = 2
_QUANTITY = {unit: place for place, row in enumerate(_QUANTITIES) for unit in row}


@dataclass(frozen=True)
class _Measure:
    """A figure with a unit: its digits without separators, the symbol of the unit, and the span of the unit.

    `is_named`: the text has the name of the unit, not its symbol.
    """

    digits: str
    unit: str
    span: TextSpan
    is_named: bool


def has_unit_mismatch(source: str, output: str, languages: tuple[str, str]) -> bool:
    """Returns True if a unit of `source` became another unit of the same quantity, such as miles kilometers.

    `languages`: BCP-47 codes of source and output. Takes linear time in the texts.
    """
    measures = _list_measures(source, languages[0])
    if not measures:
        return False
    return bool(_find_changed(measures, _list_measures(output, languages[1])))


def restore_units(source: ProtectedText, output: ProtectedText, languages: tuple[str, str]) -> Iterator[Edit]:
    """Yields the replacement of a unit of an output by the one that its source has behind the same figure.

    `languages`: BCP-47 codes of source and target. A figure that comes twice tells nothing.
    """
    measures = _list_measures(source.text, languages[0])
    if not measures:
        return
    written = _list_measures(output.text, languages[1])
    changed = _find_changed(measures, written)
    if not changed:
        return
    old = {measure.digits: measure for measure in measures}
    counts = Counter(measure.digits for measure in (*measures, *written))
    parts = list_unprotected(output)
    for measure in written:
        right = old.get(measure.digits)
        if right is None or counts[measure.digits] != _ONCE_EACH or (right.unit, measure.unit) not in changed:
            continue
        if any(part.start <= measure.span.start and measure.span.end <= part.end for part in parts):
            yield Edit(measure.span.start, measure.span.end, _write_unit(right, languages[1]))


def _find_changed(source: Sequence[_Measure], output: Sequence[_Measure]) -> frozenset[tuple[str, str]]:
    """Returns the pairs of a unit that `output` lacks and one of the same quantity that `source` lacks."""
    before, after = (Counter(measure.unit for measure in measures) for measures in (source, output))
    lost, new = before - after, after - before
    return frozenset((old, other) for old in lost for other in new if _QUANTITY[old] == _QUANTITY[other])


def _write_unit(measure: _Measure, language: str) -> str:
    """Returns a unit in a language: its name if the source has a name, or if the symbol means something else there."""
    code = primary_subtag(language)
    names = _NAMES.get(code, {}).get(measure.unit, "").split()
    if names and (measure.is_named or measure.unit in _OTHER_MEANINGS.get(code, ())):
        return names[0] if measure.digits == "1" else names[1]
    return measure.unit


def _list_measures(text: str, language: str) -> list[_Measure]:
    pattern, units = _compile(primary_subtag(language))
    return [
        _Measure(
            list_digits(match["figure"].rstrip(".,")),
            units[match["unit"]],
            TextSpan(*match.span("unit")),
            is_named=match["unit"] not in _QUANTITY and match["unit"] not in _SYMBOLS,
        )
        for match in pattern.finditer(text)
    ]


@cache
def _compile(code: str) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """Returns the pattern of a figure with a unit in a language, and the symbols of the units by their spellings."""
    units = {unit: unit for unit in _QUANTITY} | _SYMBOLS
    units |= {name: unit for unit, names in _NAMES.get(code, {}).items() for name in names.split()}
    for symbol in _OTHER_MEANINGS.get(code, ()):
        del units[symbol]
    spellings = "|".join(map(re.escape, sorted(units, key=len, reverse=True)))
    return re.compile(rf"(?<![\w.,])(?P<figure>\d[\d.,]*+)[ \u00a0-]?(?P<unit>{spellings})(?![\w/²³])"), units
