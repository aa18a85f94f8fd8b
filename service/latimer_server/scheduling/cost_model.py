"""How long batches take, learnt from those that ran, and how fast a queue that is never empty gets shorter.

Knows only numbers of rows and tokens, and seconds.
"""

from __future__ import annotations

_SMOOTHING = 0.25
# What twice the rows cost before that was measured: a step costs the same whatever its rows, the rest does not.
_DOUBLED_ROWS = 1.5
# The drain rate is that of about so many batches.
_REMEMBERED_BATCHES = 16


class BatchCostModel:
    """Seconds of a batch, by its longest row and by about how many rows it has: a step takes no twice the time for
    twice the rows."""

    def __init__(self) -> None:
        self._by_rows: dict[int, float] = {}  # seconds for each token of the longest row, by the rows' bits

    def learn(self, rows: int, longest: int, seconds: float) -> None:
        """Notes a batch that ran."""
        bucket, cost_model = rows.bit_length(), max(seconds, 0.0) / max(longest, 1)
        known = self._by_rows.get(bucket)
        self._by_rows[bucket] = cost_model if known is None else known + _SMOOTHING * (cost_model - known)

    def estimate(self, rows: int, longest: int) -> float:
        """Seconds that a batch will take. Where none of about these rows ran yet: of the nearest, scaled; upwards
        as rows use to cost, downwards as little as it can be. 0 before anything ran."""
        if not self._by_rows:
            return 0.0
        bucket = rows.bit_length()
        nearest = min(self._by_rows, key=lambda known: abs(known - bucket))
        factor = _DOUBLED_ROWS if bucket > nearest else 2.0
        return float(self._by_rows[nearest] * longest * factor ** (bucket - nearest))


class DrainRate:
    """Tokens a second that leave a queue while more waits than a batch takes: with everything that slows it down,
    other models among them. Small batches, where little waits, say nothing of what it could do."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0
        self._last: float | None = None  # when a batch ended last and something still waited

    @property
    def rate(self) -> float:
        """Tokens a second; 0 while nothing is known."""
        return self._tokens / self._seconds if self._seconds > 0 else 0.0

    def note(self, tokens: int, now: float, *, full: bool, waiting: bool) -> None:
        """Notes the end of a batch; `full`: whether it left others waiting when it began; `waiting`: whether any
        wait now."""
        if self._last is not None and full:
            kept = 1 - 1 / _REMEMBERED_BATCHES
            self._tokens = kept * self._tokens + tokens
            self._seconds = kept * self._seconds + now - self._last
        self._last = now if waiting else None
