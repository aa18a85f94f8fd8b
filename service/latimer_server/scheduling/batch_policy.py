"""Batch policy: which pieces may share a batch, and how large a batch may be."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Hashable, Iterable
from dataclasses import dataclass

from latimer_server.scheduling.cost_model import BatchCostModel
from latimer_server.scheduling.priority import Priority

# Two pieces share a batch if the longer has at most 2 times the tokens of the shorter plus 8. Beside a much longer
# piece, a short one would wait for all of its decoding steps and save next to nothing.
_LENGTH_RATIO = 2
_LENGTH_SLACK = 8
# A tight deadline shrinks a batch, but not below a quarter of the allowed rows. Rows cost most in small batches, and a
# queue full of late pieces would otherwise run in the smallest ones.
_MIN_ROWS_SHARE = 4
# A queue counts as shared for so long after another caller used it.
_SHARED_SECONDS = 5.0
# The most seconds of a batch in a shared queue. A running batch is not interrupted, so a sentence of another caller
# waits for the rest of it; a batch of long pieces or wide beams takes a second otherwise. Alone, a caller gets full
# batches, which compute more words a second.
_SHARED_BATCH_SECONDS = 0.15
# The first batch with new options, whose seconds are not known, has this part of the allowed rows in a shared queue.
_UNMEASURED_ROWS_SHARE = 8
# If more callers than these wait, full batches matter more: their pieces share the batches.
_FEW_CALLERS = 4


class SharedQueue:
    """Notes which callers used a queue last with each priority, and when."""

    def __init__(self) -> None:
        # The two last callers and when they came.
        self._last: dict[Priority, OrderedDict[Hashable, float]] = {priority: OrderedDict() for priority in Priority}

    def note(self, caller: Hashable, priority: Priority, now: float) -> None:
        """Records that `caller` submits a piece at `now` (seconds)."""
        last = self._last[priority]
        last[caller] = now
        last.move_to_end(caller)
        if len(last) > 2:
            last.popitem(last=False)

    def is_shared(
        self, callers: Container[Hashable], delayed: Iterable[Priority], now: float, waiting_callers: int
    ) -> bool:
        """True if another caller than `callers` used the queue in the last five seconds with one of the priorities
        `delayed`, and few callers wait."""
        others = (
            last for priority in delayed for caller, last in self._last[priority].items() if caller not in callers
        )
        return waiting_callers <= _FEW_CALLERS and any(now - last < _SHARED_SECONDS for last in others)


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


def count_rows_in_time(
    allowed: int, waiting: int, length: int, cost_model: BatchCostModel, seconds_left: float, least: int | None = None
) -> int:
    """Returns how many rows a batch may have so that it probably ends within `seconds_left`.

    `allowed` is the most rows of any batch, `waiting` the number of waiting pieces, and `length` the tokens of the
    longest piece. Starts from the lower of `allowed` and `waiting` and halves it until the estimate fits, but not below
    `least`, by default a quarter of `allowed`.
    """
    rows = min(allowed, waiting)
    least = max(1, min(rows, allowed // _MIN_ROWS_SHARE if least is None else least))
    while rows > least and cost_model.estimate(rows, length) > seconds_left:
        rows = max(least, rows // 2)
    return rows


def count_shared_rows(allowed: int, waiting: int, length: int, cost_model: BatchCostModel) -> int:
    """Returns how many rows a batch may have in a shared queue: as many as take 0.15 s, or an eighth of `allowed` if no
    batch was measured. The parameters are those of `count_rows_in_time`."""
    if not cost_model.is_measured:
        return max(1, min(waiting, allowed // _UNMEASURED_ROWS_SHARE))
    return count_rows_in_time(allowed, waiting, length, cost_model, _SHARED_BATCH_SECONDS, least=1)
