"""Batch queue: joins the pieces of all requests for one model into batches and runs them off the event loop.

Reads time only from the clock that it is given. The batching rule follows the queue of text-embeddings-inference and
the token batches of CTranslate2: callers take turns to supply the first piece, and the batch is filled with the pieces
of nearest length, up to a budget of padded tokens.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager

from latimer_server.core.decoding import BatchLimits, DecodingOptions, Hypothesis, TimedHypothesis, TokenIds
from latimer_server.core.errors import DeadlineExceeded, Overloaded, Unavailable
from latimer_server.core.telemetry import NoTelemetry, Telemetry, current_trace
from latimer_server.scheduling.batch_policy import BatchBudget, SharedQueue, count_rows_in_time, count_shared_rows
from latimer_server.scheduling.batch_run import BatchRun, RunBatch
from latimer_server.scheduling.batch_times import BatchTimes
from latimer_server.scheduling.executors import ComputeSlot
from latimer_server.scheduling.lending import Lending, LentBatches
from latimer_server.scheduling.priority import BULK_EVERY, Priority, PriorityPolicy
from latimer_server.scheduling.recent_refusals import RecentRefusals, Refusal
from latimer_server.scheduling.request_backlog import HeldRequest, RequestBacklog
from latimer_server.scheduling.waiting_items import WaitingItems
from latimer_server.scheduling.work_items import Batch, Clock, PieceWaiter, WorkItem

# A request is refused if its deadline leaves less than this many times the estimated wait plus one batch. The margin is
# needed because a request ends with its last piece, and batches by length take some of its pieces late: the slowest
# hundredth of requests waited 2.5 times the mean.
_WAIT_MARGIN = 3
# A request is refused if its deadline leaves less than this many times the estimated time of all requests in work. They
# count in full until they end, so the estimate is high already; the margin covers the work on texts.
_BACKLOG_MARGIN = 1.2
# The least number of seconds that a refusal asks the caller to wait before a retry.
_MIN_RETRY_SECONDS = 0.1


class BatchQueue:
    """The queue of one model: joins pieces of all requests into batches.

    Must be created and closed inside the same running event loop. `run` computes one batch in a thread of `slot`: it
    gets the token ids of each row, their common options and a function that returns True once the batch is abandoned,
    and returns one hypothesis for each row. `clock` returns seconds. `telemetry` gets a report of each batch under the
    name `model`.
    """

    def __init__(
        self,
        run: RunBatch,
        limits: BatchLimits,
        slot: ComputeSlot,
        clock: Clock = time.monotonic,
        *,
        model: str = "",
        telemetry: Telemetry | None = None,
    ) -> None:
        self._model = model
        self._telemetry = telemetry or NoTelemetry()
        self._run = run
        self._limits = limits
        self._slot = slot
        self._clock = clock
        quantum = limits.count_rows(DecodingOptions())
        self._by_priority = {priority: WaitingItems(quantum) for priority in Priority}
        self._policy = PriorityPolicy()
        self._times = BatchTimes(limits, slot.batches)
        self._backlog = RequestBacklog(clock)
        self._refusals = RecentRefusals(self._backlog, clock)
        self._shared = SharedQueue()
        self._workers: set[asyncio.Task[None]] = set()
        self._waiting_workers = 0  # workers that wait for permits
        self._computing = 0  # batches that run with their permits
        self._lent = LentBatches()
        self._dispatch_scheduled = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """The number of waiting pieces; equal pieces count once."""
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
        """Queues a piece and returns the future of its hypothesis. Cancel the future to withdraw the piece.

        `deadline` is a clock reading in seconds; None means no deadline. Callers take turns, and the requests of one
        caller take turns among themselves; `caller` None makes each request a caller of its own. If an equal piece with
        equal options and priority waits already, it is computed once for both.

        Raises `Unavailable` if the queue is closed. The future raises `DeadlineExceeded` if the piece cannot be done in
        time, `Unavailable` if the queue closes first, and the backend's error if the piece fails in a batch of its own.
        """
        if self._closed:
            raise Unavailable("the model is being unloaded")
        now = self._clock()
        waiter = PieceWaiter(asyncio.get_running_loop().create_future(), deadline, now, current_trace.get())
        if not waiter.is_open(now):
            waiter.settle(DeadlineExceeded("the deadline passed before the work began; set a later deadline"))
            return waiter.future
        owner = request if caller is None else caller
        self._shared.note(owner, now)
        self._by_priority[priority].add(ids, options, waiter, owner, request)
        self._lent.only_blocked_wait = False
        if not self._dispatch_scheduled:
            # Deferred to the next turn of the loop, so that pieces submitted in this turn can share a batch.
            self._dispatch_scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)
        return waiter.future

    def estimate_wait(self, priority: Priority, caller: Hashable) -> float:
        """Returns the estimated seconds until a piece that is queued now would start; 0 if no piece waits.

        The wait for earlier pieces of the same priority is the lower of two upper bounds: the time for all of them, and
        the time for one batch of each request of another caller whose turn comes first. The share of the other priority
        and half of a running batch are added.
        """
        if not self.waiting:
            return 0.0
        queued, other = self._by_priority[priority], self._by_priority[Priority(1 - priority)]
        callers, own_requests = queued.count_ahead(caller)
        seconds = self._times.bound_wait(queued, callers * max(1, own_requests))
        if other.count and priority is Priority.INTERACTIVE:
            seconds *= BULK_EVERY / (BULK_EVERY - 1)
        elif other.count:
            seconds += self._times.bound_wait(other, (callers + 1) * (BULK_EVERY - 1))
        # A running batch is half done on average, and the first of the workers to finish takes the piece.
        return seconds + self._times.batch_seconds / (2 * self._slot.batches)

    def require_deadline_met(self, deadline: float | None, priority: Priority, caller: Hashable) -> None:
        """Raises `Overloaded` if a request that arrives now would probably miss its deadline.

        The deadline, a clock reading in seconds, must leave time for three times the estimated wait and for one batch.
        Never raises if no piece waits or if `deadline` is None. The error's retry hint is the estimated wait, at least
        0.1 s.
        """
        if deadline is None:
            return
        wait, now = self.estimate_wait(priority, caller), self._clock()
        needed = _WAIT_MARGIN * wait + self._times.batch_seconds
        if wait and now + needed > deadline:
            message = (
                f"the queue takes {wait:.1f} s, too long for this deadline; try again later or set a later deadline"
            )
            retry_after = max(_MIN_RETRY_SECONDS, wait)
            if priority is not Priority.INTERACTIVE:
                raise Overloaded(message, retry_after)
            raise self._refusals.add(Refusal(now, 0, 0, needed, _WAIT_MARGIN, message, retry_after), caller)

    @contextmanager
    def hold_request(self, characters: int, deadline: float | None, caller: Hashable) -> Iterator[HeldRequest]:
        """Counts an interactive request of `characters` code points in the backlog until the context ends.

        The context is the request. Raises `TooLate` if the request would probably miss its deadline, a clock reading
        in seconds: the deadline must leave 1.2 times the estimated seconds for the requests in work and this one. Never
        raises if no other request is in work, if the rate of the model is not known yet, or if `deadline` is None.
        """
        if deadline is not None:
            now = self._clock()
            seconds_left = (deadline - now) / _BACKLOG_MARGIN
            rate = self._times.estimate_token_rate()
            if seconds := self._backlog.estimate_seconds(characters, caller, rate, seconds_left):
                refusal = Refusal(
                    now,
                    characters,
                    self._backlog.estimate_computed(characters, caller),
                    _BACKLOG_MARGIN * seconds,
                    _BACKLOG_MARGIN,
                    f"the requests in work take {seconds:.1f} s, too long for this deadline; try again later or set a"
                    " later deadline",
                    max(_MIN_RETRY_SECONDS, seconds - seconds_left),
                )
                # Every caller waits for the work of the others; one with work of its own waits for that too.
                raise self._refusals.add(refusal, caller, holds_for_all=not self._backlog.has_work_of(caller))
        with self._backlog.hold(characters, caller, deadline) as held:
            yield held

    def note_encoding(self, characters: int, tokens: int) -> None:
        """Learns how many tokens the texts of this model have, from texts of `characters` code points."""
        self._backlog.note_encoding(characters, tokens)

    async def close(self) -> None:
        """Closes the queue. Waiting pieces and pieces of running batches fail with `Unavailable`."""
        self._closed = True
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for queued in self._by_priority.values():
            for item in queued.drain():
                item.fail(Unavailable("the model is being unloaded"))

    def _dispatch(self) -> None:
        """Starts worker tasks, which run batches, until the slot's number of batches can run at a time.

        Starts none that would find no piece: the workers that wait for permits never outnumber the waiting pieces.
        """
        self._dispatch_scheduled = False
        while self._may_start_worker() and self._waiting_workers < self.waiting:
            self._waiting_workers += 1
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._note_end)

    def _may_start_worker(self) -> bool:
        return (
            not self._closed
            and not self._lent.only_blocked_wait
            and len(self._workers) - self._lent.count < self._slot.batches
        )

    def _note_end(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._dispatch()

    async def _work(self) -> None:
        while True:
            if not await self._run_batch(self._take):
                # Lets the callers of this batch queue their next pieces before the next batch is filled.
                await asyncio.sleep(0)
            # While this worker ran a batch without permits, another one took its place.
            has_substitute = len(self._workers) - self._lent.count > self._slot.batches
            if has_substitute or self._lent.only_blocked_wait or self._waiting_workers >= self.waiting:
                return
            self._waiting_workers += 1

    async def _run_batch(self, choose: Callable[[], Batch]) -> bool:
        """Waits for permits, then runs the batch that `choose` returns and answers the waiters of its pieces.

        Returns True if the worker may start the next batch at once, before the callers of this batch have seen their
        results. A batch that fails is run again piece by piece, so that only the faulty piece fails.
        """
        batch, run = Batch(), self._begin_run(Batch())
        is_lent = False

        def prepare() -> Callable[[], list[Hypothesis]] | None:
            nonlocal batch, run
            batch = choose()
            if not batch.items:
                return None
            self._computing += 1
            run = self._begin_run(batch)
            return run

        def note_lent() -> None:
            nonlocal is_lent
            is_lent = True
            self._computing -= 1
            self._lent.add(batch.callers)
            self._dispatch()

        lending = Lending(lambda: any(q.has_others(batch.callers) for q in self._by_priority.values()), note_lent)
        try:
            try:
                hypotheses = await self._slot.run(prepare, self._choose_priority, lending)
            finally:
                if is_lent:
                    self._lent.remove(batch.callers)
                else:
                    self._computing -= bool(batch.items)
            if hypotheses is not None and len(hypotheses) != len(batch.items):
                raise RuntimeError(f"the backend returned {len(hypotheses)} hypotheses for {len(batch.items)} pieces")
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            for item in batch.items:
                item.fail(Unavailable("the model is being unloaded"))
            raise
        except BaseException as error:  # noqa: BLE001 (a Rust panic is a BaseException)
            await self._run_one_by_one(batch, error)
            return False
        if self._has_next_batch(batch):
            # Callers of a full batch take milliseconds of the loop for their results; a core would stay idle meanwhile.
            asyncio.get_running_loop().call_soon(self._finish, run, hypotheses or [], self._clock(), is_lent)
            return True
        self._finish(run, hypotheses or [], self._clock(), is_lent)
        return False

    def _begin_run(self, batch: Batch) -> BatchRun:
        return BatchRun(batch, self._run, self._slot.watch, self._clock)

    def _has_next_batch(self, batch: Batch) -> bool:
        """True if enough pieces wait to fill further batches for this worker and for all workers that wait for permits.

        Enough means half as many pieces as in `batch` for each of these workers. Pieces of a lower priority do not
        count, because they would run before pieces that the callers of `batch` submit next.
        """
        waiting = sum(queued.count for priority, queued in self._by_priority.items() if priority <= batch.priority)
        return bool(batch.items) and waiting * 2 >= len(batch.items) * (1 + self._waiting_workers)

    async def _run_one_by_one(self, batch: Batch, error: BaseException) -> None:
        if len(batch.items) == 1:
            batch.items[0].fail(error)
            return
        try:
            for item in batch.items:
                alone = Batch() if item.is_abandoned(self._clock()) else Batch((item,))
                await self._run_batch(lambda alone=alone: alone)  # type: ignore[misc]
                item.expire(self._clock())
        except BaseException:  # these pieces are in no queue any more, so nothing else would answer them
            for item in batch.items:
                item.fail(Unavailable("the model is being unloaded"))
            raise

    def _finish(
        self,
        run: BatchRun,
        hypotheses: Sequence[Hypothesis],
        ended: float,
        is_lent: bool,  # noqa: FBT001 (call_soon passes no keywords)
    ) -> None:
        batch = run.batch
        if not batch.items:
            return
        # The seconds of a batch that lent its permits say nothing: it shared its core, and others did not wait for it.
        if not is_lent and not batch.is_abandoned(ended):
            self._times.learn(batch, ended - run.began)
        self._backlog.note_computed(batch.served_tokens)
        self._times.note_drained(batch, ended, waiting=self.waiting > 0)
        self._telemetry.note_batch(run.report(self._model, hypotheses, ended))
        for item, hypothesis in zip(batch.items, hypotheses, strict=True):
            item.settle(hypothesis, run.began, ended)

    def _take(self) -> Batch:
        """Removes the pieces of the next batch from the queue and returns it.

        The batch is empty if no wanted piece waits or the queue is closed. Its first piece belongs to the request that
        has the turn. It is filled with the pieces of nearest length, within the model's limits, the deadline of the
        first piece and this worker's share of the waiting pieces.
        """
        self._waiting_workers -= 1
        if self._closed:
            return Batch()
        pieces, tokens = self.waiting, self.waiting_tokens
        empty: set[Priority] = set()
        while waiting := [priority for priority in self._list_waiting() if priority not in empty]:
            priority = self._policy.choose(waiting)
            queued = self._by_priority[priority]
            head = queued.take_head(self._is_wanted, self._lent.blocked)
            if head is None:
                empty.add(priority)  # all its pieces had expired or were withdrawn
                continue
            self._policy.note(priority, waiting)
            # Idle workers get an equal share of the waiting tokens, so that a lone request runs on every core.
            idle = max(0, min(self._slot.batches - self._computing - 1, self._slot.spare))
            rows = self._count_rows(head, queued.count + 1)
            small = rows < min(self._limits.count_rows(head.options), queued.count + 1)
            budget = BatchBudget(
                rows,
                self._limits.max_batch_tokens,
                math.ceil(tokens / (1 + idle)),
                # Pieces that the idle workers cannot take join this batch, or they would wait for another one.
                pieces - idle * self._limits.count_rows(head.options),
            )
            items = tuple(queued.fill(head, budget, self._is_wanted))
            if small:
                queued.end_turn(head)  # or others would wait for as many small batches as make a large one
            return Batch(items, self.waiting > 0, priority)
        self._lent.only_blocked_wait = bool(self.waiting and self._lent.count)
        return Batch()

    def _count_rows(self, head: WorkItem, waiting: int) -> int:
        """Returns the most rows of a batch that begins with `head`, fewer if its deadline is near or others wait.

        `waiting` is the number of waiting pieces of this priority, `head` included.
        """
        allowed, now, length = self._limits.count_rows(head.options), self._clock(), len(head.ids)
        cost_model, rows = self._times.get_cost_model(head.options), min(allowed, waiting)
        if head.deadline is not None:
            rows = count_rows_in_time(allowed, waiting, length, cost_model, head.deadline - now)
        callers = sum(queued.callers for queued in self._by_priority.values())
        # The first batch of a queue is full: nothing is known about its seconds.
        if self._times.is_measured and self._shared.is_shared({c for c, _ in head.owners}, now, callers):
            rows = min(rows, count_shared_rows(allowed, waiting, length, cost_model))
        return rows

    def _is_wanted(self, item: WorkItem) -> bool:
        """Fails the waiters of a piece that cannot be done by their deadlines, and returns True if others are pending.

        On an idle model only deadlines that have passed count. While a batch runs, the estimated seconds of the piece
        are added. An idle model thus tries a piece that may be late, so that the cost model can recover from a slow
        measurement.
        """
        if item.deadline is not None:
            seconds = self._times.get_cost_model(item.options).estimate(1, len(item.ids)) if self._computing else 0.0
            item.expire(self._clock() + seconds)
        return item.is_wanted()

    def _list_waiting(self) -> list[Priority]:
        return [priority for priority, queued in self._by_priority.items() if queued.count]

    def _choose_priority(self) -> Priority:
        """Returns the priority that the next batch would have; a worker waits for permits with it."""
        waiting = self._list_waiting()
        return self._policy.choose(waiting) if waiting else Priority.INTERACTIVE
