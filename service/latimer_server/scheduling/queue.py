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

from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, Limits, Outcome, TokenIds
from latimer_server.core.errors import DeadlineExceeded, Overloaded, Unavailable
from latimer_server.scheduling.cost_model import Drain, Pace
from latimer_server.scheduling.executors import Seat
from latimer_server.scheduling.priority import BULK_EVERY, Precedence, Priority
from latimer_server.scheduling.waiting_items import Budget, Lane
from latimer_server.scheduling.work_items import Claim, Clock, Entry

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

    entries: tuple[Entry, ...] = ()
    full: bool = False
    priority: Priority = Priority.INTERACTIVE

    @property
    def longest(self) -> int:
        return max((len(entry.ids) for entry in self.entries), default=0)

    @property
    def tokens(self) -> int:
        return sum(len(entry.ids) for entry in self.entries)


class BatchQueue:
    """The pieces that wait for one model. Make it inside a running event loop; `close` it there."""

    def __init__(self, run: RunBatch, limits: Limits, seat: Seat, clock: Clock = time.monotonic) -> None:
        self._run = run
        self._limits = limits
        self._seat = seat
        self._clock = clock
        turn = limits.count_rows(DecodingOptions())
        self._lanes = {priority: Lane(turn) for priority in Priority}
        self._precedence = Precedence()
        self._paces: dict[tuple[int, int], Pace] = {}
        self._pace_of_late = Pace()
        self._rows_of_late = turn  # that a batch may have
        self._drain = Drain()
        self._batch_seconds = 0.0  # of late, on average
        self._workers: set[asyncio.Task[None]] = set()
        self._asking = 0  # workers that wait for permits
        self._computing = 0
        self._woken = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """Pieces that wait; identical ones count once."""
        return sum(lane.count for lane in self._lanes.values())

    def submit(
        self,
        ids: TokenIds,
        options: DecodingOptions,
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
        caller: Hashable = None,
        request: Hashable = None,
    ) -> asyncio.Future[Outcome]:
        """Queues a piece. `deadline` is a reading of the clock; callers take turns, and the requests of one caller
        take turns within its own. Cancel the future to withdraw the piece. A piece that waits already is not
        computed twice.

        Its future raises `DeadlineExceeded` when the piece cannot be done in time, `Unavailable` when the
        queue is closed, and what the backend raised when the piece failed by itself too.
        """
        if self._closed:
            raise Unavailable("the model is being unloaded")
        now = self._clock()
        claim = Claim(asyncio.get_running_loop().create_future(), deadline, now)
        if not claim.is_open(now):
            claim.settle(DeadlineExceeded("the deadline passed before the work began"))
            return claim.future
        self._lanes[priority].add(ids, options, claim, request if caller is None else caller, request)
        if not self._woken:
            # At the loop's next turn: what is queued in this one may share a batch.
            self._woken = True
            asyncio.get_running_loop().call_soon(self._dispatch)
        return claim.future

    def foresee_wait(self, priority: Priority, caller: Hashable) -> float:
        """Seconds until a piece that is queued now would be begun, as far as can be told; 0 when nothing waits.

        Two bounds hold, and the nearer one is taken: what waits has to be done before it, and so has a batch of each
        caller whose turn comes first.
        """
        if not self.waiting:
            return 0.0
        lane, other = self._lanes[priority], self._lanes[Priority(1 - priority)]
        callers, mine = lane.count_before(caller)
        seconds = self._bound(lane, callers * max(1, mine))
        if other.count and priority is Priority.INTERACTIVE:
            seconds *= BULK_EVERY / (BULK_EVERY - 1)
        elif other.count:
            seconds += self._bound(other, (callers + 1) * (BULK_EVERY - 1))
        # And what runs now: half of a batch, on average, from one of its workers to the next.
        return seconds + self._batch_seconds / (2 * self._seat.batches)

    def _bound(self, lane: Lane, batches: int) -> float:
        """Seconds until all of a lane is done, or so many batches, whichever is sooner."""
        if not lane.count:
            return 0.0
        if self._drain.rate > 0:
            all_seconds = lane.tokens / self._drain.rate
        else:
            mean = max(1, lane.tokens // lane.count)
            rows = max(1, min(self._rows_of_late, self._limits.max_batch_tokens // mean))
            all_seconds = self._pace_of_late.estimate(rows, mean) * lane.count / rows / self._seat.batches
        return min(batches * self._batch_seconds / self._seat.batches, all_seconds)

    def require_time(self, deadline: float | None, priority: Priority, caller: Hashable) -> None:
        """Raises `Overloaded` where a request that comes now would wait in vain: its deadline does not leave the
        time for the wait, with a margin, and for a batch."""
        if deadline is None:
            return
        wait = self.foresee_wait(priority, caller)
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
        for lane in self._lanes.values():
            for entry in lane.drain():
                entry.fail(Unavailable("the model is being unloaded"))

    def _dispatch(self) -> None:
        """Has workers come for what waits, as many as there may be."""
        self._woken = False
        while not self._closed and len(self._workers) < self._seat.batches and self._asking < self.waiting:
            self._asking += 1
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
            if self._asking >= self.waiting:
                return
            self._asking += 1

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
            if not batch.entries:
                return None
            self._computing += 1
            entries = batch.entries
            ids, options = [entry.ids for entry in entries], entries[0].options
            return lambda: self._run(ids, options, lambda: _are_abandoned(entries, self._clock()))

        try:
            try:
                hypotheses = await self._seat.run(prepare, self._choose_priority)
            finally:
                self._computing -= bool(batch.entries)
            if hypotheses is not None and len(hypotheses) != len(batch.entries):
                raise RuntimeError(f"the backend gave {len(hypotheses)} hypotheses for {len(batch.entries)} pieces")
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            for entry in batch.entries:
                entry.fail(Unavailable("the model is being unloaded"))
            raise
        except BaseException as error:  # noqa: BLE001 (any failure of a backend is its pieces', a Rust panic too)
            await self._run_apart(batch, error)
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
        waiting = sum(lane.count for priority, lane in self._lanes.items() if priority <= batch.priority)
        return bool(batch.entries) and waiting * 2 >= len(batch.entries) * (1 + self._asking)

    async def _run_apart(self, batch: _Batch, error: BaseException) -> None:
        if len(batch.entries) == 1:
            batch.entries[0].fail(error)
            return
        try:
            for entry in batch.entries:
                alone = _Batch() if entry.is_abandoned(self._clock()) else _Batch((entry,))
                await self._run_batch(lambda alone=alone: alone)  # type: ignore[misc]
                entry.expire(self._clock())
        except BaseException:  # they stand in no lane any more
            for entry in batch.entries:
                entry.fail(Unavailable("the model is being unloaded"))
            raise

    def _finish(self, batch: _Batch, hypotheses: Sequence[Hypothesis], started: float, ended: float) -> None:
        if batch.entries and not _are_abandoned(batch.entries, ended):
            self._pace_of_late = self._pace(batch.entries[0].options)
            self._rows_of_late = self._limits.count_rows(batch.entries[0].options)
            self._pace_of_late.learn(len(batch.entries), batch.longest, ended - started)
            known = self._batch_seconds
            self._batch_seconds = known + _SMOOTHING * (ended - started - known) if known else ended - started
        if batch.entries:
            self._drain.note(batch.tokens, ended, full=batch.full, waiting=self.waiting > 0)
        for entry, hypothesis in zip(batch.entries, hypotheses, strict=True):
            entry.settle(hypothesis, started, ended)

    def _take(self) -> _Batch:
        """The next batch: its first piece is that of whose turn it is; with those nearest in length, as many as the
        limits, the first one's deadline and the other workers leave."""
        self._asking -= 1
        if self._closed:
            return _Batch()
        pieces, tokens = self.waiting, sum(lane.tokens for lane in self._lanes.values())
        empty: set[Priority] = set()
        while waiting := [priority for priority in self._list_waiting() if priority not in empty]:
            priority = self._precedence.choose(waiting)
            lane = self._lanes[priority]
            head = lane.take_head(self._is_wanted)
            if head is None:
                empty.add(priority)  # all of them were late
                continue
            self._precedence.note(priority, waiting)
            # Workers that could begin now have their share of what waits: a lone request is done on every core.
            idle = max(0, min(self._seat.batches - self._computing - 1, self._seat.spare))
            budget = Budget(
                self._count_rows(head, lane.count + 1),
                self._limits.max_batch_tokens,
                math.ceil(tokens / (1 + idle)),
                # More than they could take would have to wait for a batch of its own.
                pieces - idle * self._limits.count_rows(head.options),
            )
            entries = tuple(lane.fill(head, budget, self._is_wanted))
            return _Batch(entries, self.waiting > 0, priority)
        return _Batch()

    def _count_rows(self, head: Entry, waiting: int) -> int:
        """The rows that a batch may have: as many as its first piece's deadline leaves time for, but not so few that
        the rest pays for it."""
        most = self._limits.count_rows(head.options)
        rows = min(most, waiting)
        least = max(1, min(rows, most // _LEAST_SHARE))
        if head.deadline is None:
            return rows
        pace, left = self._pace(head.options), head.deadline - self._clock()
        while rows > least and pace.estimate(rows, len(head.ids)) > left:
            rows = max(least, rows // 2)
        return rows

    def _is_wanted(self, entry: Entry) -> bool:
        """Whether somebody still waits for a piece, and in time; who is late is told so. What can't be done in time
        any more is not begun, except where nothing else is to be done: so a pace that was once slow is learnt anew."""
        if entry.deadline is not None:
            alone = self._pace(entry.options).estimate(1, len(entry.ids)) if self._computing else 0.0
            entry.expire(self._clock() + alone)
        return entry.is_wanted()

    def _list_waiting(self) -> list[Priority]:
        return [priority for priority, lane in self._lanes.items() if lane.count]

    def _choose_priority(self) -> Priority:
        """The class of what waits, for which permits are asked."""
        waiting = self._list_waiting()
        return self._precedence.choose(waiting) if waiting else Priority.INTERACTIVE

    def _pace(self, options: DecodingOptions) -> Pace:
        return self._paces.setdefault((options.beam_size or 0, options.hypothesis_count), Pace())


def _are_abandoned(entries: Sequence[Entry], now: float) -> bool:
    return all(entry.is_abandoned(now) for entry in entries)
