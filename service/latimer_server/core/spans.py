"""Text spans: ranges of code points."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TextSpan:
    """A half-open range of a text in code points: `start` is included, `end` is not."""

    start: int
    end: int
