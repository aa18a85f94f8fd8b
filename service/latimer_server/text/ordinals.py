"""Writes ordinal numbers as the language of a translation does: models write `3o andar` for `3.º andar`, and `2.the`.

A model's vocabulary may lack the signs `º` and `ª`, which it then writes as letters or reads as an article. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.languages import primary_subtag
from latimer_server.text.figures.notation import list_digits
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

_FIGURE = r"(?<![\w.,])(?P<figure>\d{1,3}(?:[.,]\d{3})+|\d{1,4})"
_ENGLISH = re.compile(rf"{_FIGURE}(?:st|nd|rd|th|ST|ND|RD|TH)(?!\w)")
# Letters in place of the signs count behind a full stop only: `4a` may be a room.
_PORTUGUESE = re.compile(rf"{_FIGURE}(?:\.?[ºª°]|\.[oa])(?!\w| ?[CF]\b)")
# What a model writes behind the figure of an ordinal number, by the language of the output.
_LETTERS = {
    "pt": re.compile(rf"{_FIGURE}(?P<sign>[oa])(?!\w)"),
    "en": re.compile(rf"{_FIGURE}(?P<sign>\.(?:the|o|a|º|ª)|[ºª]|st|nd|rd|th)(?!\w)"),
}
_SIGNS = {"o": "º", "a": "ª"}
_TEENS = range(11, 14)


def restore_ordinals(source: ProtectedText, output: ProtectedText, languages: tuple[str, str]) -> Iterator[Edit]:
    """Yields the sign of each ordinal number of an output that its source has as one too.

    `languages`: BCP-47 codes of source and target; only those from English to Portuguese and back are known.
    """
    pair = primary_subtag(languages[0]), primary_subtag(languages[1])
    if pair not in {("en", "pt"), ("pt", "en")}:
        return
    letters = _LETTERS[pair[1]]
    if letters.search(output.text) is None:
        return
    ordinals = {
        list_digits(match["figure"]) for match in (_ENGLISH if pair[0] == "en" else _PORTUGUESE).finditer(source.text)
    }
    parts = list_unprotected(output)
    for match in letters.finditer(output.text):
        start, end = match.span("sign")
        digits = list_digits(match["figure"])
        right = _SIGNS[match["sign"]] if pair[1] == "pt" else _find_ending(int(digits))
        if digits not in ordinals or right == match["sign"]:
            continue
        if any(part.start <= match.start() and end <= part.end for part in parts):
            yield Edit(start, end, right)


def _find_ending(number: int) -> str:
    """Returns the letters behind an English ordinal number."""
    if number % 100 in _TEENS:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
