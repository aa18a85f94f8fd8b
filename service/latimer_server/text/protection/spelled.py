"""Protects numbers that a source has in figures and in words, so that the output has the words of its own language.

Used for the words that a model got wrong. Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.text.checks.cardinals import read_words
from latimer_server.text.checks.number_words import WORDS
from latimer_server.text.checks.spelled import UNIT_WORDS, find_spelled
from latimer_server.text.figures.cardinals import has_gender, write_cardinal
from latimer_server.text.protection.masking import ProtectedText

# The words for one and for several of a unit in each language.
_UNITS = {
    "en": {
        "real": ("real", "reais"),
        "dollar": ("dollar", "dollars"),
        "euro": ("euro", "euros"),
        "cent": ("cent", "cents"),
        "percent": ("percent", "percent"),
    },
    "pt": {
        "real": ("real", "reais"),
        "dollar": ("dólar", "dólares"),
        "euro": ("euro", "euros"),
        "cent": ("centavo", "centavos"),
        "percent": ("por cento", "por cento"),
    },
}
_UNIT_NAMES = {
    "real": "real",
    "reais": "real",
    "dollar": "dollar",
    "dollars": "dollar",
    "dólar": "dollar",
    "dólares": "dollar",
    "euro": "euro",
    "euros": "euro",
    "cent": "cent",
    "cents": "cent",
    "centavo": "cent",
    "centavos": "cent",
    "percent": "percent",
    "per cent": "percent",
    "por cento": "percent",
}
_AND = {"en": "and", "pt": "e"}
_MILLION = 10**6
# Numbers, each with the unit behind it. Only the last part may lack a unit.
_UNIT = re.compile(r" +(per cent|por cento|" + "|".join(sorted(UNIT_WORDS - {"per", "por", "cento"})) + r")(?= |$)")


def protect_spelled(guarded: ProtectedText, source_language: str, target_language: str) -> ProtectedText:
    """Returns the text with the words of its spelled numbers protected too, outside its protected spans.

    Their replacement has the same number and unit in the target language. Numbers and units that cannot be written in
    it stay. Languages are BCP-47 codes.
    """
    bases = primary_subtag(source_language), primary_subtag(target_language)
    pairs: list[tuple[TextSpan, str | None]] = list(
        zip(guarded.spans, guarded.replacements or (None,) * len(guarded.spans), strict=True)
    )
    starts = [span.start for span in guarded.spans]
    for item in find_spelled(guarded.text, bases[0]):
        span = item.words
        before = bisect_right(starts, span.end) - 1
        if before >= 0 and guarded.spans[before].end > span.start:
            continue
        words = guarded.text[span.start : span.end]
        written = translate_amount(words, *bases)
        if written is not None:
            pairs.append((span, written.upper() if words.isupper() else written))
    pairs.sort(key=lambda pair: pair[0].start)
    return ProtectedText(guarded.text, tuple(span for span, _ in pairs), tuple(text for _, text in pairs))


def translate_amount(words: str, source: str, target: str) -> str | None:
    """Returns a number in words, with its units, in another language: `doze mil reais` becomes `twelve thousand reais`.

    `source` and `target`: base codes of languages. Returns None for words that it cannot read or write.
    """
    if source not in WORDS or target not in _UNITS:
        return None
    parts: list[str] = []
    rest = words.lower().replace(",", "").strip()
    while rest:
        unit = _UNIT.search(rest)
        number = rest[: unit.start()] if unit else rest
        written = _translate_part(number, unit[1] if unit else "", source, target)
        if written is None:
            return None
        parts.append(written)
        rest = rest[unit.end() :].strip() if unit else ""
        rest = rest.removeprefix(_AND.get(source, "") + " ")
    return f" {_AND[target]} ".join(parts) if parts else None


def _translate_part(number: str, unit: str, source: str, target: str) -> str | None:
    table = WORDS[source]
    known = table.plain.keys() | table.scales.keys() | table.joiners
    if not all(piece in known for piece in re.split("[ -]+", number.strip())):
        return None
    possible, clear = read_words(number, source)
    if len(possible) + len(clear) != 1:
        return None
    value = int((*possible, *clear)[0][0])
    words = write_cardinal(value, target)
    if words is None or (target == "pt" and not unit and has_gender(value)):
        return None
    if not unit:
        return words
    name = _UNITS[target][_UNIT_NAMES[unit]][value != 1]
    linked = " de " if target == "pt" and value and value % _MILLION == 0 and unit != "percent" else " "
    return words + linked + name
