"""Joins the pieces of all requests for a model into batches and has them run.

Knows no gRPC, no model and no clock but the one it is given; a batch is run by whatever callable it is
given, off the event loop. The batch rule (callers take turns to begin one, and it is filled with the nearest in
length up to a budget of padded tokens) follows text-embeddings-inference's queue and CTranslate2's token batches.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, TimedHypothesis, TokenIds
from latimer_server.core.errors import DeadlineExceeded, Overloaded, Unavailable
from latimer_server.scheduling.cost_model import BatchCostModel, DrainRate
from latimer_server.scheduling.executors import ComputeSlot
from latimer_server.scheduling.priority import BULK_EVERY, Priority, PriorityPolicy
from latimer_server.scheduling.waiting_items import Budget, WaitingItems
from latimer_server.scheduling.work_items import Clock, PieceWaiter, WorkItem

RunBatch = Callable[[Sequence[TokenIds], DecodingOptions, Cancelled], list[Hypothesis]]

# A batch is made smaller for a deadline, but not below this share of its rows while as many wait: rows cost most in
# the smallest batches, and a queue full of late pieces would be done in those.
_LEAST_SHARE = 4
# How many times the foreseen wait a deadline must leave. A request is done when the last of its pieces is, and batches
# of like lengths take some pieces early and some late: one in a hundred requests took 2.5 times the wait on average.
_MARGIN = 3
# Sooner there is no point in trying again.
_LEAST_RETRY_SECONDS = 0.1
_SMOOTHING = 0.25


@dataclass(frozen=True)
class _Batch:
    """`full`: others were left waiting when it was taken."""

    items: tuple[WorkItem, ...] = ()
    full: bool = False
    priority: Priority = Priority.INTERACTIVE

    @property
    def longest(self) -> int:
        return max((len(item.ids) for item in self.items), default=0)

    @property
    def tokens(self) -> int:
        return sum(len(item.ids) for item in self.items)


class BatchQueue:
    """The pieces that wait for one model. Make it inside a running event loop; `close` it there."""

    def __init__(self, run: RunBatch, limits: BatchLimits, slot: ComputeSlot, clock: Clock = time.monotonic) -> None:
        self._run = run
        self._limits = limits
        self._slot = slot
        self._clock = clock
        turn = limits.count_rows(DecodingOptions())
        self._by_priority = {priority: WaitingItems(turn) for priority in Priority}
        self._policy = PriorityPolicy()
        self._cost_models: dict[tuple[int, int], BatchCostModel] = {}
        self._recent_cost = BatchCostModel()
        self._recent_rows = turn  # that a batch may have
        self._drain_rate = DrainRate()
        self._batch_seconds = 0.0  # of late, on average
        self._workers: set[asyncio.Task[None]] = set()
        self._waiting_workers = 0  # workers that wait for permits
        self._computing = 0
        self._woken = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """Pieces that wait; identical ones count once."""
        return sum(queued.count for queued in self._by_priority.values())

    @property
    def waiting_tokens(self) -> int:
        """The tokens of the waiting pieces."""
        return sum(queued.tokens for queued in self._by_priority.values())

    @property
    def waiting_options(self) -> int:
        """The number of different decoding options among the waiting pieces."""
        return sum(queued.options for queued in self._by_priority.values())

    def submit(
        self,
        ids: TokenIds,
        options: DecodingOptions,
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
        caller: Hashable = None,
        request: Hashable = None,
    ) -> asyncio.Future[TimedHypothesis]:
        """Queues a piece. `deadline` is a reading of the clock; callers take turns, and the requests of one caller
        take turns within its own. Cancel the future to withdraw the piece. A piece that waits already is not
        computed twice.

        Its future raises `DeadlineExceeded` when the piece cannot be done in time, `Unavailable` when the
        queue is closed, and what the backend raised when the piece failed by itself too.
        """
        if self._closed:
            raise Unavailable("the model is being unloaded")
        now = self._clock()
        waiter = PieceWaiter(asyncio.get_running_loop().create_future(), deadline, now)
        if not waiter.is_open(now):
            waiter.settle(DeadlineExceeded("the deadline passed before the work began"))
            return waiter.future
        self._by_priority[priority].add(ids, options, waiter, request if caller is None else caller, request)
        if not self._woken:
            # At the loop's next turn: what is queued in this one may share a batch.
            self._woken = True
            asyncio.get_running_loop().call_soon(self._dispatch)
        return waiter.future

    def estimate_wait(self, priority: Priority, caller: Hashable) -> float:
        """Seconds until a piece that is queued now would be begun, as far as can be told; 0 when nothing waits.

        Two bounds hold, and the nearer one is taken: what waits has to be done before it, and so has a batch of each
        caller whose turn comes first.
        """
        if not self.waiting:
            return 0.0
        queued, other = self._by_priority[priority], self._by_priority[Priority(1 - priority)]
        callers, mine = queued.count_ahead(caller)
        seconds = self._bound(queued, callers * max(1, mine))
        if other.count and priority is Priority.INTERACTIVE:
            seconds *= BULK_EVERY / (BULK_EVERY - 1)
        elif other.count:
            seconds += self._bound(other, (callers + 1) * (BULK_EVERY - 1))
        # And what runs now: half of a batch, on average, from one of its workers to the next.
        return seconds + self._batch_seconds / (2 * self._slot.batches)

    def _bound(self, queued: WaitingItems, batches: int) -> float:
        """Seconds until all of a lane is done, or so many batches, whichever is sooner."""
        if not queued.count:
            return 0.0
        if self._drain_rate.rate > 0:
            all_seconds = queued.tokens / self._drain_rate.rate
        else:
            mean = max(1, queued.tokens // queued.count)
            rows = max(1, min(self._recent_rows, self._limits.max_batch_tokens // mean))
            all_seconds = self._recent_cost.estimate(rows, mean) * queued.count / rows / self._slot.batches
        return min(batches * self._batch_seconds / self._slot.batches, all_seconds)

    def require_deadline_met(self, deadline: float | None, priority: Priority, caller: Hashable) -> None:
        """Raises `Overloaded` where a request that comes now would wait in vain: its deadline does not leave the
        time for the wait, with a margin, and for a batch."""
        if deadline is None:
            return
        wait = self.estimate_wait(priority, caller)
        if wait and self._clock() + _MARGIN * wait + self._batch_seconds > deadline:
            raise Overloaded(
                f"what waits takes {wait:.1f} s, too long for this deadline", max(_LEAST_RETRY_SECONDS, wait)
            )

    async def close(self) -> None:
        """Takes no more pieces; those that wait, and those of the batches in work, fail with `Unavailable`."""
        self._closed = True
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for queued in self._by_priority.values():
            for item in queued.drain():
                item.fail(Unavailable("the model is being unloaded"))

    def _dispatch(self) -> None:
        """Has workers come for what waits, as many as there may be."""
        self._woken = False
        while not self._closed and len(self._workers) < self._slot.batches and self._waiting_workers < self.waiting:
            self._waiting_workers += 1
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._note_end)

    def _note_end(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._dispatch()

    async def _work(self) -> None:
        while True:
            if not await self._run_batch(self._take):
                # Lets the futures' owners queue their next pieces before the next batch is filled.
                await asyncio.sleep(0)
            if self._waiting_workers >= self.waiting:
                return
            self._waiting_workers += 1

    async def _run_batch(self, choose: Callable[[], _Batch]) -> bool:
        """Runs the batch that `choose` gives once there are permits. Whether the next one need not wait for what its
        owners do with this one.

        A batch that fails is run again piece by piece, so that one poison piece fails alone.
        """
        batch = _Batch()
        started = 0.0

        def prepare() -> Callable[[], list[Hypothesis]] | None:
            nonlocal batch, started
            batch, started = choose(), self._clock()
            if not batch.items:
                return None
            self._computing += 1
            items = batch.items
            ids, options = [item.ids for item in items], items[0].options
            return lambda: self._run(ids, options, lambda: _are_abandoned(items, self._clock()))

        try:
            try:
                hypotheses = await self._slot.run(prepare, self._choose_priority)
            finally:
                self._computing -= bool(batch.items)
            if hypotheses is not None and len(hypotheses) != len(batch.items):
                raise RuntimeError(f"the backend gave {len(hypotheses)} hypotheses for {len(batch.items)} pieces")
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            for item in batch.items:
                item.fail(Unavailable("the model is being unloaded"))
            raise
        except BaseException as error:  # noqa: BLE001 (any failure of a backend is its pieces', a Rust panic too)
            await self._run_one_by_one(batch, error)
            return False
        if self._has_more_than(batch):
            # The owners of a full batch have milliseconds of work with what they are told; a core would wait for them.
            asyncio.get_running_loop().call_soon(self._finish, batch, hypotheses or [], started, self._clock())
            return True
        self._finish(batch, hypotheses or [], started, self._clock())
        return False

    def _has_more_than(self, batch: _Batch) -> bool:
        """Whether enough waits for a batch of its own: half of this one's pieces, for each worker that asks. What is
        less urgent does not count, or it would go before what the owners of this one may have to ask yet."""
        waiting = sum(queued.count for priority, queued in self._by_priority.items() if priority <= batch.priority)
        return bool(batch.items) and waiting * 2 >= len(batch.items) * (1 + self._waiting_workers)

    async def _run_one_by_one(self, batch: _Batch, error: BaseException) -> None:
        if len(batch.items) == 1:
            batch.items[0].fail(error)
            return
        try:
            for item in batch.items:
                alone = _Batch() if item.is_abandoned(self._clock()) else _Batch((item,))
                await self._run_batch(lambda alone=alone: alone)  # type: ignore[misc]
                item.expire(self._clock())
        except BaseException:  # they stand in no lane any more
            for item in batch.items:
                item.fail(Unavailable("the model is being unloaded"))
            raise

    def _finish(self, batch: _Batch, hypotheses: Sequence[Hypothesis], started: float, ended: float) -> None:
        if batch.items and not _are_abandoned(batch.items, ended):
            self._recent_cost = self._cost_model(batch.items[0].options)
            self._recent_rows = self._limits.count_rows(batch.items[0].options)
            self._recent_cost.learn(len(batch.items), batch.longest, ended - started)
            known = self._batch_seconds
            self._batch_seconds = known + _SMOOTHING * (ended - started - known) if known else ended - started
        if batch.items:
            self._drain_rate.note(batch.tokens, ended, full=batch.full, waiting=self.waiting > 0)
        for item, hypothesis in zip(batch.items, hypotheses, strict=True):
            item.settle(hypothesis, started, ended)

    def _take(self) -> _Batch:
        """The next batch: its first piece is that of whose turn it is; with those nearest in length, as many as the
        limits, the first one's deadline and the other workers leave."""
        self._waiting_workers -= 1
        if self._closed:
            return _Batch()
        pieces, tokens = self.waiting, self.waiting_tokens
        empty: set[Priority] = set()
        while waiting := [priority for priority in self._list_waiting() if priority not in empty]:
            priority = self._policy.choose(waiting)
            queued = self._by_priority[priority]
            head = queued.take_head(self._is_wanted)
            if head is None:
                empty.add(priority)  # all of them were late
                continue
            self._policy.note(priority, waiting)
            # Workers that could begin now have their share of what waits: a lone request is done on every core.
            idle = max(0, min(self._slot.batches - self._computing - 1, self._slot.spare))
            budget = Budget(
                self._count_rows(head, queued.count + 1),
                self._limits.max_batch_tokens,
                math.ceil(tokens / (1 + idle)),
                # More than they could take would have to wait for a batch of its own.
                pieces - idle * self._limits.count_rows(head.options),
            )
            items = tuple(queued.fill(head, budget, self._is_wanted))
            return _Batch(items, self.waiting > 0, priority)
        return _Batch()

    def _count_rows(self, head: WorkItem, waiting: int) -> int:
        """The rows that a batch may have: as many as its first piece's deadline leaves time for, but not so few that
        the rest pays for it."""
        most = self._limits.count_rows(head.options)
        rows = min(most, waiting)
        least = max(1, min(rows, most // _LEAST_SHARE))
        if head.deadline is None:
            return rows
        cost_model, left = self._cost_model(head.options), head.deadline - self._clock()
        while rows > least and cost_model.estimate(rows, len(head.ids)) > left:
            rows = max(least, rows // 2)
        return rows

    def _is_wanted(self, item: WorkItem) -> bool:
        """Whether somebody still waits for a piece, and in time; who is late is told so. What can't be done in time
        any more is not begun, except where nothing else is to be done: so a pace that was once slow is learnt anew."""
        if item.deadline is not None:
            alone = self._cost_model(item.options).estimate(1, len(item.ids)) if self._computing else 0.0
            item.expire(self._clock() + alone)
        return item.is_wanted()

    def _list_waiting(self) -> list[Priority]:
        return [priority for priority, queued in self._by_priority.items() if queued.count]

    def _choose_priority(self) -> Priority:
        """The class of what waits, for which permits are asked."""
        waiting = self._list_waiting()
        return self._policy.choose(waiting) if waiting else Priority.INTERACTIVE

    def _cost_model(self, options: DecodingOptions) -> BatchCostModel:
        return self._cost_models.setdefault((options.beam_size or 0, options.hypothesis_count), BatchCostModel())


def _are_abandoned(items: Sequence[WorkItem], now: float) -> bool:
    return all(item.is_abandoned(now) for item in items)
