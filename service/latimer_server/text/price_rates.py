"""Spells out the periods behind English prices, as in `$12/mo`, which models leave as they are. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.languages import primary_subtag
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

_PERIODS = {"mo": "month", "yr": "year", "wk": "week", "hr": "hour"}
# A figure with a currency sign or code at one side, and a period. A path has a letter, figure or slash behind that.
_PRICE = re.compile(
    r"(?:[$€£¥₹][ \u00a0]?\d[\d.,]{0,20}|(?<![\d.,])\d[\d.,]{0,20}[ \u00a0]?(?:[€£¥]|[A-Z]{3}))"
    rf"[ \u00a0]?/[ \u00a0]?(?P<period>{'|'.join(_PERIODS)})(?![\w/-]|\.\w)"
)


def spell_out_periods(guarded: ProtectedText, language: str) -> Iterator[Edit]:
    """Yields the replacement of the periods behind prices by their words, outside protected spans.

    `language`: BCP-47 code of the text. Yields nothing for another language than English.
    """
    if not has_periods(guarded.text, language):
        return
    for part in list_unprotected(guarded):
        for match in _PRICE.finditer(guarded.text, part.start, part.end):
            yield Edit(*match.span("period"), _PERIODS[match["period"]])


def has_periods(text: str, language: str) -> bool:
    """Returns True if a text has a price with a period. `language`: its BCP-47 code."""
    return "/" in text and primary_subtag(language) == "en" and _PRICE.search(text) is not None
