"""Spans of text, in code points."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TextSpan:
    """A range of a text in code points, half-open."""

    start: int
    end: int
