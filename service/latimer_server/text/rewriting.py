"""Replaces parts of a text outside its protected spans, and notes what was replaced. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Move, map_span
from latimer_server.text.protection.masking import ProtectedText


class Edit(NamedTuple):
    """A replacement: the half-open span `start` to `end` of a text, in code points, becomes `text`."""

    start: int
    end: int
    text: str


def drop_overlapping(edits: Iterable[Edit]) -> list[Edit]:
    """Returns edits without those that overlap an earlier one of the given order."""
    kept: list[Edit] = []
    for edit in edits:
        if all(edit.end <= other.start or other.end <= edit.start for other in kept):
            kept.append(edit)
    return kept


def apply_edits(text: str, edits: Iterable[Edit]) -> tuple[str, tuple[Move, ...]]:
    """Returns a text with its edits made, and the replaced parts as (span of the new text, span of the old one).

    `edits`: disjoint. They are made in ascending order; those at one place in the order given.
    """
    parts: list[str] = []
    moves: list[Move] = []
    position = length = 0
    for start, end, new in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        parts += (text[position:start], new)
        length += start - position
        moves.append((TextSpan(length, length + len(new)), TextSpan(start, end)))
        length, position = length + len(new), end
    parts.append(text[position:])
    return "".join(parts), tuple(moves)


def rewrite_text(guarded: ProtectedText, edits: Iterable[Edit]) -> ProtectedText:
    """Returns a text with its edits made and its protected spans moved. `moves` of the result has the replaced parts.

    `edits`: disjoint, and outside the protected spans.
    """
    text, moves = apply_edits(guarded.text, edits)
    if not moves:
        return guarded
    back = [(old, new) for new, old in moves]
    moved = tuple(map_span(back, span) for span in guarded.spans)
    return ProtectedText(text, moved, guarded.replacements, moves)
