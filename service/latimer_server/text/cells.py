"""Finds the cells of a row that pipes divide, `| Basic | 5 GB |`, and tells whether a translation has kept them.

A model may drop a pipe or empty a cell of such a row; then the cells are translated apart. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.segmentation import Document, needs_translation

_PIPE = "|"


def find_cells(text: str, kept: Sequence[TextSpan]) -> Document | None:
    """Returns a text with the spans of its cells that have a letter; None for a text with fewer than two cells.

    `kept`: the protected spans of the text, ascending, whose pipes divide nothing.
    """
    if _PIPE not in text:
        return None
    spans: list[TextSpan] = []
    start = 0
    for at in [*_find_pipes(text, kept), len(text)]:
        cell = text[start:at]
        if needs_translation(cell):
            spans.append(TextSpan(start + len(cell) - len(cell.lstrip()), at - len(cell) + len(cell.rstrip())))
        start = at + 1
    # One cell between pipes is a row too.
    return Document(text, tuple(spans)) if len(spans) > 1 or (spans and text.count(_PIPE) > 1) else None


def keeps_cells(source: str, output: str) -> bool:
    """Returns True if an output has as many pipes as its source, and text in the same cells."""
    written = [bool(cell.strip()) for cell in output.split(_PIPE)]
    return [bool(cell.strip()) for cell in source.split(_PIPE)] == written


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
