"""Batch selection: takes the pieces of the next batch from the queue, by priority, turns, lengths and limits."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping

from latimer_server.core.decoding import BatchLimits
from latimer_server.scheduling.batch_policy import BatchBudget, SharedQueue, count_rows_in_time, count_shared_rows
from latimer_server.scheduling.batch_times import BatchTimes
from latimer_server.scheduling.lending import LentBatches
from latimer_server.scheduling.priority import Priority, PriorityPolicy
from latimer_server.scheduling.waiting_items import WaitingItems
from latimer_server.scheduling.work_items import Batch, Clock, WorkItem


class BatchSelection:
    """Selects the batches of one queue from its waiting pieces. Belongs to the event loop.

    `preempts`: True if interactive pieces preempt bulk batches of this queue.
    """

    def __init__(
        self,
        waiting: Mapping[Priority, WaitingItems],
        limits: BatchLimits,
        times: BatchTimes,
        lent: LentBatches,
        clock: Clock,
        preempts: bool,  # noqa: FBT001 (a fact about the slot, as the others)
    ) -> None:
        self._waiting = waiting
        self._limits = limits
        self._times = times
        self._lent = lent
        self._clock = clock
        self._preempts = preempts
        self._policy = PriorityPolicy()
        self._shared = SharedQueue()

    def note_caller(self, caller: Hashable, priority: Priority, now: float) -> None:
        """Records that a caller submits a piece at `now` (seconds)."""
        self._shared.note(caller, priority, now)

    def choose_priority(self) -> Priority:
        """Returns the priority that the next batch would have; a worker waits for permits with it."""
        waiting = self._list_waiting()
        return self._policy.choose(waiting) if waiting else Priority.INTERACTIVE

    def take(self, idle: int, *, is_computing: bool) -> Batch:
        """Removes the pieces of the next batch from the queue and returns it; an empty batch if no wanted piece waits.

        Its first piece belongs to the request that has the turn. It is filled with the pieces of nearest length, within
        the model's limits, the deadline of the first piece and this worker's share of the waiting pieces. `idle`: the
        number of other workers that could take a share. `is_computing`: another batch of the queue runs.
        """
        empty: set[Priority] = set()
        while waiting := [priority for priority in self._list_waiting() if priority not in empty]:
            priority = self._policy.choose(waiting)
            batch = self._take_of(priority, waiting, idle, is_computing=is_computing)
            if batch is None:
                empty.add(priority)  # all its pieces had expired or were withdrawn, or their callers are blocked
                continue
            self._policy.note(priority, waiting)
            return batch
        self._lent.only_blocked_wait = bool(self._list_waiting() and self._lent.count)
        return Batch()

    def take_interactive(self, idle: int) -> Batch:
        """Removes the pieces of a batch that preempts bulk work, as `take` does.

        It is no turn: the preempted batch keeps its own share of the core.
        """
        batch = self._take_of(Priority.INTERACTIVE, (Priority.INTERACTIVE,), idle, is_computing=True)
        if batch is None:
            self._lent.only_blocked_interactive_wait = bool(self._waiting[Priority.INTERACTIVE].count)
        return batch or Batch()

    def _take_of(
        self, priority: Priority, waiting: Collection[Priority], idle: int, *, is_computing: bool
    ) -> Batch | None:
        """Returns a batch that begins with a piece of `priority`. Idle workers get an equal share of the tokens of the
        priorities in `waiting`, so that a lone request runs on every core."""

        def is_wanted(item: WorkItem) -> bool:
            return self._is_wanted(item, is_computing=is_computing)

        pieces = sum(self._waiting[one].count for one in waiting)
        tokens = sum(self._waiting[one].tokens for one in waiting)
        queued = self._waiting[priority]
        head = queued.take_head(is_wanted, self._lent.blocked)
        if head is None:
            return None
        # A bulk batch that is taken while interactive pieces wait is bulk's share of turns.
        is_preemptible = self._preempts and priority is Priority.BULK and Priority.INTERACTIVE not in waiting
        # Interactive pieces do not wait for the end of a batch that they preempt, and bulk pieces may wait for others.
        waits = {Priority.BULK} if is_preemptible else {Priority.INTERACTIVE} if self._preempts else set(Priority)
        rows = self._count_rows(head, queued.count + 1, waits)
        small = rows < min(self._limits.count_rows(head.options), queued.count + 1)
        budget = BatchBudget(
            rows,
            self._limits.max_batch_tokens,
            math.ceil(tokens / (1 + idle)),
            # Pieces that the idle workers cannot take join this batch, or they would wait for another one.
            pieces - idle * self._limits.count_rows(head.options),
        )
        items = tuple(queued.fill(head, budget, is_wanted))
        if small:
            queued.end_turn(head)  # or others would wait for as many small batches as make a large one
        return Batch(items, bool(self._list_waiting()), priority, is_preemptible)

    def _count_rows(self, head: WorkItem, waiting: int, delayed: Collection[Priority]) -> int:
        """Returns the most rows of a batch that begins with `head`, fewer if its deadline is near or others wait.

        `waiting` is the number of waiting pieces of this priority, `head` included. `delayed`: the priorities whose
        pieces wait for the end of the batch.
        """
        allowed, now, length = self._limits.count_rows(head.options), self._clock(), len(head.ids)
        cost_model, rows = self._times.get_cost_model(head.options), min(allowed, waiting)
        if head.deadline is not None:
            rows = count_rows_in_time(allowed, waiting, length, cost_model, head.deadline - now)
        callers = sum(queued.callers for queued in self._waiting.values())
        # The first batch of a queue is full: nothing is known about its seconds.
        if self._times.is_measured and self._shared.is_shared({c for c, _ in head.owners}, delayed, now, callers):
            rows = min(rows, count_shared_rows(allowed, waiting, length, cost_model))
        return rows

    def _is_wanted(self, item: WorkItem, *, is_computing: bool) -> bool:
        """Fails the waiters of a piece that cannot be done by their deadlines, and returns True if others are pending.

        On an idle model only deadlines that have passed count. While a batch runs, the estimated seconds of the piece
        are added. An idle model thus tries a piece that may be late, so that the cost model can recover from a slow
        measurement.
        """
        if item.deadline is not None:
            seconds = self._times.get_cost_model(item.options).estimate(1, len(item.ids)) if is_computing else 0.0
            item.expire(self._clock() + seconds)
        return item.is_wanted()

    def _list_waiting(self) -> list[Priority]:
        return [priority for priority, queued in self._waiting.items() if queued.count]
