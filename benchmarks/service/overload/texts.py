"""Writes texts of any length, all different, from sentences of the Debian Administrator's Handbook.

Equal pieces that wait at the same time are computed once, so equal texts would not be a load.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

_SENTENCES = Path(__file__).parents[3] / "tests/data/handbook.en.txt"
# Sentences of a text are this many lines apart, so that neighbours have different lengths.
_STEP = 7


class Writer:
    """A source of texts no two of which share a sentence."""

    def __init__(self) -> None:
        self._sentences = [line.rstrip(".") for line in _SENTENCES.read_text("utf-8").splitlines()]
        self._numbers = count()

    def write(self, characters: int) -> str:
        """Returns a new text of at least `characters` code points."""
        number = next(self._numbers)
        lines: list[str] = []
        size, place = 0, number
        while size < characters:
            line = f"{self._sentences[place % len(self._sentences)]}, as step {place} of chapter {number} says."
            lines.append(line)
            size += len(line) + 1
            place += _STEP
        return " ".join(lines)
