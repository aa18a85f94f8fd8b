"""Leaves out of a segment what is at its edges and shall not reach a model.

These are the mark of a list item, the dash of a dialogue or of a removed line, and quotation marks or brackets around
the whole segment. A model often drops or doubles them, and translates a word worse between them. Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from latimer_server.core.spans import TextSpan

_MARK = re.compile(
    r"(?:\((?:[a-zA-Z]|[ivxIVX]{1,5}|\d{1,3})\)|(?:[a-z]|[ivx]{1,5}|\d{1,3})\))\s++(?=\S)|[-–—+]{1,2}+(?=[^\W\d_])"
)
# A protected key at the start of a line of settings, JSON or a PO file.
_KEY = re.compile(r"\"?[A-Za-z_][\w.-]*+\"?\s*+[:=]\s*+|msg\w++(?:\[\d\])?\s++")
_PAIRS = {'"': '"', "“": "”", "«": "»", "„": "“", "‘": "’", "(": ")", "[": "]", "「": "」", "『": "』"}
_LONGEST_PAIR = 2_000


def trim_edges(text: str, spans: Sequence[TextSpan], kept: Sequence[TextSpan]) -> Iterator[TextSpan]:
    """Yields the spans of segments without marks and pairs of signs at their edges.

    `kept`: spans of the text that must not be divided; ascending, disjoint. A segment never becomes empty.
    """
    for span in spans:
        start, end = span.start, span.end
        first = bisect_left(kept, start, key=lambda span: span.start)
        if first < len(kept) and kept[first].start == start and _KEY.fullmatch(text, start, kept[first].end):
            start = _skip_spaces(text, kept[first].end, end)
        mark = _MARK.match(text, start, end)
        if mark is not None and not _is_inside(mark.end(), kept):
            start = mark.end()
        if (
            start < end
            and _is_paired(text, start, end)
            and not _is_inside(start + 1, kept)
            and not _is_inside(end - 1, kept)
        ):
            start, end = start + 1, end - 1
        yield TextSpan(start, end) if start < end else span


def remove_holes(text: str, spans: Sequence[TextSpan], holes: Sequence[TextSpan]) -> Sequence[TextSpan]:
    """Returns the spans of segments without the parts `holes`, which divide them, and without new parts of signs.

    `holes`: ascending, disjoint.
    """
    if not holes:
        return spans
    parts: list[TextSpan] = []
    for span in spans:
        start = span.start
        for hole in holes[bisect_right(holes, start, key=lambda hole: hole.end) :]:
            if hole.start >= span.end:
                break
            parts += _trim(text, start, hole.start)
            start = hole.end
        parts += [span] if start == span.start else _trim(text, start, span.end)
    return parts


def _trim(text: str, start: int, end: int) -> Iterator[TextSpan]:
    """Yields the span of a part of a text without white space at its edges, if it has a letter or digit."""
    part = text[start:end]
    if any(map(str.isalnum, part)):
        yield TextSpan(start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip()))


def _skip_spaces(text: str, start: int, end: int) -> int:
    """Returns the offset of the first character from `start` on that is no white space; `start` if there is none."""
    position = start
    while position < end and text[position].isspace():
        position += 1
    return position if position < end else start


def _is_paired(text: str, start: int, end: int) -> bool:
    """Returns True if one pair of quotation marks or brackets is around a part of a text, and no other is inside."""
    closing = _PAIRS.get(text[start])
    if closing is None or text[end - 1] != closing or not 2 < end - start <= _LONGEST_PAIR:
        return False
    inside = text[start + 1 : end - 1]
    if inside[0].isspace() or inside[-1].isspace() or text[start] in inside or closing in inside:
        return False
    return any(map(str.isalpha, inside))


def _is_inside(offset: int, kept: Sequence[TextSpan]) -> bool:
    """Returns True if an offset is inside one of the spans, and not at its edge."""
    number = bisect_right(kept, offset, key=lambda span: span.start) - 1
    return number >= 0 and kept[number].start < offset < kept[number].end
