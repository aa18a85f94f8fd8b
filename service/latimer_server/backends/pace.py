"""Divides a batch so that each part takes seconds: for libraries that cannot be stopped inside a batch.

Knows only numbers of tokens and times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# What a part should take at most; between parts somebody may have gone.
_PART_SECONDS = 2.0
# Before anything was measured.
_FIRST_ROWS = 4
_SMOOTHING = 0.5


class Pace:
    """How long a token takes, learnt from the parts that ran."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds_per_token: float | None = None

    def divide(self, rows: Sequence[T], tokens: Callable[[T], int]) -> Iterator[Sequence[T]]:
        """Parts of `rows`, in order, each of one row or of about two seconds. `tokens`: what a row costs.

        The time between two parts being asked for is taken to be the time that the first one took.
        """
        position = 0
        while position < len(rows):
            part = self._next_part(rows[position:], tokens)
            started = self._clock()
            yield part
            self._learn(sum(map(tokens, part)), self._clock() - started)
            position += len(part)

    def _next_part(self, rows: Sequence[T], tokens: Callable[[T], int]) -> Sequence[T]:
        if self._seconds_per_token is None:
            return rows[:_FIRST_ROWS]
        left = _PART_SECONDS / self._seconds_per_token
        count = 0
        for row in rows:
            left -= tokens(row)
            if count and left < 0:
                break
            count += 1
        return rows[:count]

    def _learn(self, tokens: int, seconds: float) -> None:
        rate = max(seconds, 1e-6) / max(tokens, 1)
        known = self._seconds_per_token
        self._seconds_per_token = rate if known is None else known + _SMOOTHING * (rate - known)
