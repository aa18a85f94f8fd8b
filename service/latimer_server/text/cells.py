"""Finds the cells of a row that pipes or boxes to tick divide, `| Basic | 5 GB |` and `( ) Yes ( ) No`.

A model may drop a pipe or box, or empty a cell of such a row; then the cells are translated apart. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.segmentation import Document, needs_translation

_PIPE = "|"
# A box to tick. A row has two or more, of which one is blank.
_BOX = re.compile(r"(?<!\w)(?:\( {0,3}[xX]?\)|\[ {0,3}[xX]?\])(?!\w)")
_BLANK_BOX = re.compile(r"\( {1,3}\)|\[ {1,3}\]")


def find_cells(text: str, kept: Sequence[TextSpan]) -> Document | None:
    """Returns a text with the spans of its cells that have a letter; None for a text with fewer than two cells.

    `kept`: the protected spans of the text, ascending, whose pipes divide nothing.
    """
    signs = [TextSpan(at, at + 1) for at in _find_pipes(text, kept)] if _PIPE in text else _find_boxes(text)
    spans: list[TextSpan] = []
    start = 0
    for sign in [*signs, TextSpan(len(text), len(text))]:
        cell = text[start : sign.start]
        if needs_translation(cell):
            spans.append(TextSpan(start + len(cell) - len(cell.lstrip()), sign.start - len(cell) + len(cell.rstrip())))
        start = sign.end
    # One cell between pipes is a row too.
    return Document(text, tuple(spans)) if (len(signs) > 1 and spans) or len(spans) > 1 else None


def keeps_cells(source: str, output: str) -> bool:
    """Returns True if an output has as many pipes and boxes as its source, and text in the same cells."""
    if _PIPE not in source:
        # The spaces in a box are put back later.
        old, new = ([box.replace(" ", "") for box in _BOX.findall(text)] for text in (source, output))
        return old == new
    written = [bool(cell.strip()) for cell in output.split(_PIPE)]
    return [bool(cell.strip()) for cell in source.split(_PIPE)] == written


def _find_boxes(text: str) -> list[TextSpan]:
    """Returns the spans of the boxes to tick of a row; [] for a text with fewer than two or without a blank one."""
    if _BLANK_BOX.search(text) is None:
        return []
    boxes = [TextSpan(*match.span()) for match in _BOX.finditer(text)]
    return boxes if len(boxes) > 1 else []


def _find_pipes(text: str, kept: Sequence[TextSpan]) -> list[int]:
    """Returns the offsets of the pipes outside the spans `kept`."""
    found: list[int] = []
    start = 0
    for end, following in [*((span.start, span.end) for span in kept), (len(text), len(text))]:
        at = text.find(_PIPE, start, end)
        while at >= 0:
            found.append(at)
            at = text.find(_PIPE, at + 1, end)
        start = following
    return found
