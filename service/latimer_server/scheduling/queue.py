"""Batch queue: joins the pieces of all requests for one model into batches and runs them off the event loop.

Reads time only from the clock that it is given. The batching rule follows the queue of text-embeddings-inference and
the token batches of CTranslate2: callers take turns to supply the first piece, and the batch is filled with the pieces
of nearest length, up to a budget of padded tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from latimer_server.core.decoding import BatchLimits, DecodingOptions, Hypothesis, TimedHypothesis, TokenIds
from latimer_server.core.errors import DeadlineExceeded, OverloadBound, Overloaded, Unavailable
from latimer_server.core.telemetry import NoTelemetry, Telemetry, current_trace
from latimer_server.scheduling.batch_run import BatchRun, RunBatch
from latimer_server.scheduling.batch_selection import BatchSelection
from latimer_server.scheduling.batch_times import BatchTimes
from latimer_server.scheduling.compute_slot import ComputeSlot
from latimer_server.scheduling.lending import Lending, LentBatches
from latimer_server.scheduling.preemption import PreemptibleBatch
from latimer_server.scheduling.priority import BULK_EVERY, Priority
from latimer_server.scheduling.recent_refusals import RecentRefusals, Refusal
from latimer_server.scheduling.request_backlog import HeldRequest, RequestBacklog
from latimer_server.scheduling.waiting_items import WaitingItems
from latimer_server.scheduling.work_items import Batch, Clock, PieceWaiter

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
        self._slot = slot
        self._clock = clock
        quantum = limits.count_rows(DecodingOptions())
        self._by_priority = {priority: WaitingItems(quantum) for priority in Priority}
        self._times = BatchTimes(limits, slot.batches)
        self._backlog = RequestBacklog(clock)
        self._refusals = RecentRefusals(self._backlog, clock)
        self._workers: set[asyncio.Task[None]] = set()
        self._waiting_workers = 0  # workers that wait for permits
        self._preempting = 0  # workers of batches that preempt others and did not lend their permits
        self._starting = 0  # preempting workers that have not taken their pieces yet
        self._computing = 0  # batches that run, except lent ones
        self._lent = LentBatches()
        self._selection = BatchSelection(self._by_priority, limits, self._times, self._lent, clock, slot.preempts)
        self._dispatch_scheduled = False
        self._closed = False
        slot.add_listener(self._preempt)

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
        self._selection.note_caller(owner, priority, now)
        self._by_priority[priority].add(ids, options, waiter, owner, request)
        self._lent.note_change()
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
                raise Overloaded(message, retry_after, OverloadBound.QUEUE)
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
        """Closes the queue; may be called again. Waiting pieces and those that run fail with `Unavailable`."""
        self._closed = True
        self._slot.remove_listener(self._preempt)
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
        self._preempt()
        while self._may_start_worker() and self._waiting_workers < self.waiting - self._starting:
            self._waiting_workers += 1
            self._start(self._work())

    def _preempt(self) -> None:
        """Starts workers inside preemptible batches for interactive pieces that would not get a core at once."""
        while self._starting < self._by_priority[Priority.INTERACTIVE].count and not (
            self._closed
            or self._lent.only_blocked_interactive_wait
            or (self._slot.spare > self._waiting_workers and self._may_start_worker())
        ):
            preempted = self._slot.take_preemptible()
            if preempted is None:
                return
            self._starting += 1
            self._preempting += 1
            self._start(self._work_inside(preempted))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        worker = asyncio.get_running_loop().create_task(work)
        self._workers.add(worker)
        worker.add_done_callback(self._note_end)

    def _may_start_worker(self) -> bool:
        can_take = not self._closed and not self._lent.only_blocked_wait
        return can_take and self._count_usual_workers() < self._slot.batches

    def _count_usual_workers(self) -> int:
        """Returns the number of workers without those whose batches have lent their permits or preempt others."""
        return len(self._workers) - self._lent.count - self._preempting

    def _note_end(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._dispatch()

    async def _work(self) -> None:
        while True:
            if not await self._run_batch(self._take):
                # Lets the callers of this batch queue their next pieces before the next batch is filled.
                await asyncio.sleep(0)
            # While this worker ran a batch without permits, another one took its place.
            has_substitute = self._count_usual_workers() > self._slot.batches
            if has_substitute or self._lent.only_blocked_wait or self._waiting_workers >= self.waiting:
                return
            self._waiting_workers += 1

    async def _work_inside(self, preempted: PreemptibleBatch) -> None:
        """Runs one batch of interactive pieces inside a bulk batch."""
        has_started = False

        def take() -> Batch:
            nonlocal has_started
            has_started = True
            self._starting -= 1
            return Batch() if self._closed else self._selection.take_interactive(idle=self._starting)

        try:
            await self._run_batch(take, preempted)
        finally:
            self._starting -= not has_started
            self._preempting -= 1

    async def _run_batch(self, choose: Callable[[], Batch], preempted: PreemptibleBatch | None = None) -> bool:
        """Waits for permits, then runs the batch that `choose` returns and answers the waiters of its pieces.

        `preempted`: the batch runs inside this one instead, without permits of its own. Returns True if the worker may
        start the next batch at once, before the callers of this batch have seen their results. A batch that fails is
        run again piece by piece, so that only the faulty piece fails.
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
            self._preempting -= preempted is not None
            self._lent.add(batch.callers)
            self._dispatch()

        lending = Lending(lambda: self._is_delaying(batch), note_lent, lambda: run.preemptible)
        try:
            try:
                hypotheses = await self._slot.run(prepare, self._selection.choose_priority, lending, preempted)
            finally:
                if is_lent:
                    self._lent.remove(batch.callers)
                    self._preempting += preempted is not None
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
        ended = self._clock()
        # The seconds of a batch that lent its permits say nothing: it shared its core, and others did not wait for it.
        seconds = None if is_lent else run.count_seconds(ended, preempts=preempted is not None)
        if self._has_next_batch(batch):
            # Callers of a full batch take milliseconds of the loop for their results; a core would stay idle meanwhile.
            asyncio.get_running_loop().call_soon(self._finish, run, hypotheses or [], ended, seconds)
            return True
        self._finish(run, hypotheses or [], ended, seconds)
        return False

    def _is_delaying(self, batch: Batch) -> bool:
        """Returns True if pieces of other callers wait for the end of a batch. Interactive ones may preempt it."""
        return any(
            queued.has_others(batch.callers)
            for priority, queued in self._by_priority.items()
            if priority is Priority.BULK or not batch.is_preemptible
        )

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
        seconds: float | None,
    ) -> None:
        """Answers the waiters of a batch that ended at `ended`, and learns from the `seconds` that it took."""
        batch = run.batch
        if not batch.items:
            return
        if seconds is not None and not batch.is_abandoned(ended):
            self._times.learn(batch, seconds)
        self._backlog.note_computed(batch.served_tokens)
        self._times.note_drained(batch, ended, waiting=self.waiting > 0)
        self._telemetry.note_batch(run.report(self._model, hypotheses, ended))
        for item, hypothesis in zip(batch.items, hypotheses, strict=True):
            item.settle(hypothesis, run.began, ended)

    def _take(self) -> Batch:
        """Removes the pieces of the next batch from the queue; an empty batch if none waits or the queue is closed."""
        self._waiting_workers -= 1
        if self._closed:
            return Batch()
        idle = max(0, min(self._slot.batches - self._computing - 1, self._slot.spare))
        return self._selection.take(idle, is_computing=self._computing > 0)
