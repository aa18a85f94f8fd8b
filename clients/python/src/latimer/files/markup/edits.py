"""Replacements of spans of a text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A half-open span of the text of a file, in code points. It is copied with the edits inside it."""

    start: int
    end: int


# A piece of new text, or a span of the old text.
Part = str | Span


@dataclass(frozen=True, slots=True)
class Edit:
    """The replacement of the text from `start` to `end` by `parts`."""

    start: int
    end: int
    parts: tuple[Part, ...]


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Returns the text with all edits made.

    An edit may lie inside a span that another edit copies, as a text box lies in the paragraph of its anchor. Edits at
    one place are made in their order. Raises `ValueError` if two edits overlap in any other way.
    """
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.start != edit.end, -edit.end))
    written: list[str] = []
    _write(text, Span(0, len(text)), ordered, [edit.start for edit in ordered], 0, written)
    return "".join(written)


def _write(text: str, span: Span, edits: Sequence[Edit], starts: Sequence[int], first: int, written: list[str]) -> None:
    position = span.start
    number = first
    while number < len(edits) and edits[number].start < span.end:
        edit = edits[number]
        if edit.start < position or edit.end > span.end:
            raise ValueError("two edits overlap")
        written.append(text[position : edit.start])
        number += 1
        for part in edit.parts:
            if isinstance(part, str):
                written.append(part)
            else:
                _write(text, part, edits, starts, max(number, bisect_left(starts, part.start)), written)
        position = edit.end
        while number < len(edits) and edits[number].start < position:
            number += 1
    written.append(text[position : span.end])
