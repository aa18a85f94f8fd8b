"""Divides a batch into parts that take about two seconds each, for libraries that cannot stop inside a batch.

Works with numbers of rows and tokens, and with times. Thread-safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# The upper bound on the estimated time of a part with more than one row. Cancellation is polled between parts.
_PART_SECONDS = 2.0
# The number of rows of a part before anything was measured.
_FIRST_ROWS = 4
# The weight of a new measurement in a cost; the earlier cost has the rest of 1.
_SMOOTHING = 0.5


class _CostByRows:
    """Smoothed costs of parts (seconds per token, or per decoder step), by the number of rows of the part.

    The cost of a single row says little about that of a full batch, so each power of two has a cost of its own.
    `falls` is True if the cost never grows with the number of rows; otherwise it never shrinks. So a measurement of
    one size bounds the costs of others: a size that was slow once, and is avoided since, gets a lower cost as soon as
    its neighbours are fast.
    """

    def __init__(self, *, falls: bool) -> None:
        self._falls = falls
        self._measured: dict[int, tuple[float, int]] = {}  # cost and last number of rows, by that number's bit length

    def learn(self, rows: int, cost: float) -> None:
        """Adds the measured cost of a part of `rows` rows, and lowers the costs of other sizes that it bounds."""
        bits = rows.bit_length()
        before = self._measured.get(bits)
        cost = cost if before is None else before[0] + _SMOOTHING * (cost - before[0])
        self._measured[bits] = cost, rows
        for other in tuple(self._measured):
            if (other > bits) if self._falls else (other < bits):
                self._measured[other] = min(self._measured[other][0], cost), self._measured[other][1]

    def find(self, rows: int) -> tuple[float, int] | None:
        """Returns the cost at the nearest measured size, and the rows that it had last. None before a measurement."""
        sizes, bits = tuple(self._measured), rows.bit_length()
        return self._measured[min(sizes, key=lambda size: abs(size - bits))] if sizes else None


class BatchSplitter:
    """Divides batches into parts by the seconds per token, which it learns from the parts that ran."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds_per_token = _CostByRows(falls=True)

    def divide(self, rows: Sequence[T], tokens: Callable[[T], int]) -> Iterator[Sequence[T]]:
        """Yields parts of `rows`, in order, each of one row or of an estimated two seconds at most.

        `tokens` returns the number of tokens that a row costs. Before a measurement a part has four rows.
        The time until the caller takes the next part counts as the time of the part.
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
        # Takes the longest part that fits, even if a shorter one does not: a measurement of fewer rows may be slower.
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
        # With more rows than were measured, a token costs no more. With fewer, the whole part costs no more than with
        # the measured rows, so a token costs at most `known_rows / rows` times as much.
        alike = known_rows.bit_length() == rows.bit_length()
        return rate * (1.0 if alike else max(1.0, known_rows / rows)) * tokens


class StepCostModel:
    """Estimates how long a search over a batch can take, from the measured time of a decoder step."""

    def __init__(self) -> None:
        self._seconds_per_step = _CostByRows(falls=False)

    def learn(self, rows: int, steps: int, seconds: float) -> None:
        """Adds the time of a search over `rows` rows. `steps` is the number of tokens of its longest output."""
        self._seconds_per_step.learn(rows, seconds / max(steps, 1))

    def foresee(self, rows: int, steps: int) -> float | None:
        """Returns the most seconds that `steps` steps over `rows` rows should take. None before a measurement."""
        found = self._seconds_per_step.find(rows)
        if found is None:
            return None
        rate, known_rows = found
        # With fewer rows than measured a step takes no longer. With more its time grows at most in proportion.
        return rate * max(1.0, rows / known_rows) * steps
