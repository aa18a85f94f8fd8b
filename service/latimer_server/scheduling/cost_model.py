"""Cost model: estimates the seconds of a batch and the token rate of a busy queue from batches that ran."""

from __future__ import annotations

# Weight of the newest batch in the moving averages of `BatchCostModel`.
_SMOOTHING = 0.25
# Factor by which the estimated seconds grow for each doubling of the rows beyond those measured. It is below 2 because
# a part of each decoding step costs the same for any number of rows.
_DOUBLED_ROWS = 1.5
# `DrainRate` averages over about this many of the latest batches.
_AVERAGED_BATCHES = 16


class BatchCostModel:
    """An estimate of batch seconds from the longest row, in tokens, and the number of rows.

    Keeps a moving average of seconds per token of the longest row, one average for each power of two of rows, because
    twice the rows cost less than twice the time.
    """

    def __init__(self) -> None:
        self._by_rows: dict[int, float] = {}  # bit length of the rows -> seconds per token of the longest row

    @property
    def is_measured(self) -> bool:
        """True if a batch ran."""
        return bool(self._by_rows)

    def learn(self, rows: int, longest: int, seconds: float) -> None:
        """Adds a finished batch to the average for its number of rows. `longest` is the tokens of its longest row."""
        bucket, token_seconds = rows.bit_length(), max(seconds, 0.0) / max(longest, 1)
        average = self._by_rows.get(bucket)
        self._by_rows[bucket] = token_seconds if average is None else average + _SMOOTHING * (token_seconds - average)

    def estimate(self, rows: int, longest: int) -> float:
        """Returns the expected seconds of a batch; 0 before any batch ran. `longest` is in tokens.

        Row counts of the same bit length share a measured average. For another bit length the nearest average is
        extrapolated: times 1.5 for each doubling of the rows, divided by 2 for each halving, which gives the lowest
        possible cost.
        """
        if not self._by_rows:
            return 0.0
        bucket = rows.bit_length()
        nearest = min(self._by_rows, key=lambda measured: abs(measured - bucket))
        factor = _DOUBLED_ROWS if bucket > nearest else 2.0
        return float(self._by_rows[nearest] * longest * factor ** (bucket - nearest))


class DrainRate:
    """The tokens per second that leave a queue while more pieces wait than one batch takes.

    The rate includes every slowdown, such as other models on the same cores. Batches that empty the queue are not
    counted, because they do not show how fast it could be.
    """

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0
        self._last: float | None = None  # end of the last batch, if pieces were still waiting then

    @property
    def rate(self) -> float:
        """Tokens per second; 0 before anything was measured."""
        return self._tokens / self._seconds if self._seconds > 0 else 0.0

    def note(self, tokens: int, now: float, *, full: bool, waiting: bool) -> None:
        """Records the end of a batch of `tokens` tokens (without padding) at `now` (seconds).

        `full` is True if other pieces were still waiting when the batch began, `waiting` if pieces are waiting now.
        """
        if self._last is not None and full:
            kept = 1 - 1 / _AVERAGED_BATCHES
            self._tokens = kept * self._tokens + tokens
            self._seconds = kept * self._seconds + now - self._last
        self._last = now if waiting else None
