"""Writes the figures of table cells without words in the notation of the target language.

No model reads such a cell, so its figure would keep the notation of the source beside converted ones. `3.11` in a cell
may also be a version; so a plain figure with a decimal point is converted only if the text has figures that no version
looks like: with groups of thousands, with a currency sign, or with two zeros as decimals. In a text that speaks of
versions only the figures with groups or signs are converted. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from latimer_server.text.checks.numerals import find_decimal_mark
from latimer_server.text.figures.notation import convert_figure, is_grouped, read_figure

# A cell with one figure: an equal sign or sign of a number, a currency sign, the figure, and a percent sign.
_CELL = re.compile(r"(?:= ?)?[+\-−(]?(?P<sign>(?:R|US)?[$€£¥₹] ?)?(?P<figure>\d[\d.,]{0,30})(?P<percent> ?%)?\)?")
_VERSIONS = re.compile(r"\b(?:vers(?:ions?|ão|ões)|releases?)\b", re.IGNORECASE)
_AMOUNT = re.compile(r"\d+[.,]\d\d")


def convert_cells(cells: Sequence[str], indices: Collection[int], languages: tuple[str, str]) -> dict[int, str]:
    """Returns the new texts of the cells that change, by their index; each is as long as the old one.

    `cells`: the segments of a text, in order. `indices`: those without words. `languages`: BCP-47 codes of
    source and target.
    """
    marks = find_decimal_mark(languages[0]), find_decimal_mark(languages[1])
    if set(marks) != {".", ","} or len(indices) == len(cells):
        return {}
    found = {index: match for index in sorted(indices) if (match := _CELL.fullmatch(cells[index]))}
    has_versions = any(_VERSIONS.search(cell) for cell in cells)
    clear = {index for index, match in found.items() if _is_clear(match, marks[0], has_versions=has_versions)}
    amounts = bool(clear) and not has_versions
    changed = {}
    for index, match in found.items():
        figure = match["figure"]
        if index not in clear and not (amounts and _AMOUNT.fullmatch(figure)):
            continue
        new = convert_figure(figure, marks, is_money=match["sign"] is not None)
        if new != figure:
            changed[index] = cells[index][: match.start("figure")] + new + cells[index][match.end("figure") :]
    return changed


def _is_clear(cell: re.Match[str], mark: str, *, has_versions: bool) -> bool:
    """Returns True if the figure of a cell can be no version or code. `mark`: the decimal mark of the source."""
    figure = cell["figure"]
    if read_figure(figure, mark) is None or figure.isdigit():
        return False
    if cell["sign"] is not None or cell["percent"] is not None:
        return True
    # `1.200` may be a version, but no version has a comma.
    return "," in figure if mark == "," else is_grouped(figure, mark) or (figure.endswith(".00") and not has_versions)
