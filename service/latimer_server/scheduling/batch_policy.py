"""Batch policy: which pieces may share a batch, and how large a batch may be."""

from __future__ import annotations

from dataclasses import dataclass

from latimer_server.scheduling.cost_model import BatchCostModel

# Two pieces share a batch if the longer has at most 2 times the tokens of the shorter plus 8. Beside a much longer
# piece, a short one would wait for all of its decoding steps and save next to nothing.
_LENGTH_RATIO = 2
_LENGTH_SLACK = 8
# A tight deadline shrinks a batch, but not below a quarter of the allowed rows. Rows cost most in small batches, and a
# queue full of late pieces would otherwise run in the smallest ones.
_MIN_ROWS_SHARE = 4


@dataclass(frozen=True)
class BatchBudget:
    """The bounds of one batch.

    `rows`: number of rows. `padded_tokens`: rows times tokens of the longest row. `tokens`: tokens without padding;
    this bound applies only beyond `least_rows` rows.
    """

    rows: int
    padded_tokens: int
    tokens: float
    least_rows: int = 1


def may_share_batch(length: int, other: int) -> bool:
    """True if pieces of these lengths, in tokens, may share a batch."""
    return max(length, other) <= _LENGTH_RATIO * min(length, other) + _LENGTH_SLACK


def count_rows_in_time(allowed: int, waiting: int, length: int, cost_model: BatchCostModel, seconds_left: float) -> int:
    """Returns how many rows a batch may have so that it probably ends within `seconds_left`.

    `allowed` is the most rows of any batch, `waiting` the number of waiting pieces, and `length` the tokens of the
    longest piece. Starts from the lower of `allowed` and `waiting` and halves it until the estimate fits, but not below
    a quarter of `allowed`.
    """
    rows = min(allowed, waiting)
    least = max(1, min(rows, allowed // _MIN_ROWS_SHARE))
    while rows > least and cost_model.estimate(rows, length) > seconds_left:
        rows = max(least, rows // 2)
    return rows
