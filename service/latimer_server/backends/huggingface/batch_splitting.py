"""Divides a batch so that each part takes seconds: for libraries that cannot be stopped inside a batch.

Knows only numbers of rows and tokens, and times. May be asked and told from several threads.
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


class _ByRows:
    """A figure of parts, by about how many rows these had: single rows, which cost most each, say little of full
    batches.

    `falls`: whether it is no greater for more rows than for fewer, else it is no smaller. So one size bounds others: a
    size that was slow once, and is not chosen for that, is trusted again as soon as its neighbours are not slow.
    """

    def __init__(self, *, falls: bool) -> None:
        self._falls = falls
        self._known: dict[int, tuple[float, int]] = {}  # figure and rows, by the rows' bits

    def learn(self, rows: int, figure: float) -> None:
        bits = rows.bit_length()
        known = self._known.get(bits)
        figure = figure if known is None else known[0] + _SMOOTHING * (figure - known[0])
        self._known[bits] = figure, rows
        for other in tuple(self._known):
            if (other > bits) if self._falls else (other < bits):
                self._known[other] = min(self._known[other][0], figure), self._known[other][1]

    def find(self, rows: int) -> tuple[float, int] | None:
        """The figure of the nearest number of rows that is known, and that number; None while nothing is."""
        known, bits = tuple(self._known), rows.bit_length()
        return self._known[min(known, key=lambda one: abs(one - bits))] if known else None


class BatchSplitter:
    """How long a token takes, learnt from the parts that ran."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds_per_token = _ByRows(falls=True)

    def divide(self, rows: Sequence[T], tokens: Callable[[T], int]) -> Iterator[Sequence[T]]:
        """Parts of `rows`, in order, each of one row or of about two seconds. `tokens`: what a row costs.

        The time between two parts being asked for is taken to be the time that the first one took.
        """
        position = 0
        while position < len(rows):
            part = self._next_part(rows[position:], tokens)
            started = self._clock()
            yield part
            seconds = max(self._clock() - started, 1e-6)
            self._seconds_per_token.learn(len(part), seconds / max(sum(map(tokens, part)), 1))
            position += len(part)

    def _next_part(self, rows: Sequence[T], tokens: Callable[[T], int]) -> Sequence[T]:
        if self._seconds_per_token.find(1) is None:
            return rows[:_FIRST_ROWS]
        # The longest that fits, not the longest whose beginnings do: of fewer rows a slower pace may be known.
        best, total = 1, 0
        for count, row in enumerate(rows, 1):
            total += tokens(row)
            if self._estimate(count, total) <= _PART_SECONDS:
                best = count
        return rows[:best]

    def _estimate(self, rows: int, tokens: int) -> float:
        found = self._seconds_per_token.find(rows)
        if found is None:
            return 0.0
        rate, known_rows = found
        # A token costs no more among more rows than were measured; among far fewer, at most what a step costs whole.
        alike = known_rows.bit_length() == rows.bit_length()
        return rate * (1.0 if alike else max(1.0, known_rows / rows)) * tokens


class StepCostModel:
    """How long a step of a batch takes, so that it can be told how long a batch may last whatever its rows become."""

    def __init__(self) -> None:
        self._seconds_per_step = _ByRows(falls=False)

    def learn(self, rows: int, steps: int, seconds: float) -> None:
        """Notes a part that ran, and the tokens of its longest output."""
        self._seconds_per_step.learn(rows, seconds / max(steps, 1))

    def foresee(self, rows: int, steps: int) -> float | None:
        """The seconds of so many steps as the last ones went, whatever the rows cost; None before anything was
        measured."""
        found = self._seconds_per_step.find(rows)
        if found is None:
            return None
        rate, known_rows = found
        # A step takes no longer with fewer rows than were measured, and with more at most so many times as long.
        return rate * max(1.0, rows / known_rows) * steps
