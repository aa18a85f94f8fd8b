"""Joins the pieces of all requests for a model into batches and runs them one after another.

Knows no gRPC, no model and no clock but the one it is given; a batch is run by whatever callable it is
given, off the event loop. The batch rule (oldest first, filled with the nearest in length up to a budget of
padded tokens) follows text-embeddings-inference's queue and CTranslate2's token batches.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from latimer_server.backends.base import Cancelled, DecodingOptions, Hypothesis, Limits, TokenIds
from latimer_server.errors import DeadlineExceeded, Overloaded, Unavailable

Clock = Callable[[], float]
T = TypeVar("T")
# A thread costs more than work on so little text, which takes well under a millisecond.
_INLINE_CHARACTERS = 2_000
RunBatch = Callable[[Sequence[TokenIds], DecodingOptions, Cancelled], list[Hypothesis]]


class Priority(enum.IntEnum):
    """Which work goes first."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(frozen=True)
class Outcome:
    """What became of a piece, and when: `queued`, `started`, `ended` are readings of the clock in seconds."""

    hypothesis: Hypothesis
    queued: float
    started: float
    ended: float


@dataclass(eq=False)
class _Entry:
    ids: TokenIds
    options: DecodingOptions
    priority: Priority
    deadline: float | None
    queued: float
    future: asyncio.Future[Outcome] = field(repr=False)


class Admission:
    """Bounds the requests in work. Past the bound a request is refused at once, not queued."""

    def __init__(self, most: int, retry_after: float = 1.0) -> None:
        self._most = most
        self._retry_after = retry_after
        self._active = 0
        self._draining = False

    @property
    def active(self) -> int:
        """Requests in work."""
        return self._active

    def drain(self) -> None:
        """Refuses every request from now on."""
        self._draining = True

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Holds a place while the request is in work. Raises `Overloaded` or `Unavailable`."""
        if self._draining:
            raise Unavailable("the server is shutting down")
        if self._active >= self._most:
            raise Overloaded(f"{self._most} requests are in work, which is the limit", self._retry_after)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1


class CorePermits:
    """Runs callables in threads, at most `permits` at once over all models, so that two busy models do
    not take each other's cores."""

    def __init__(self, permits: int, executor: Executor) -> None:
        self._semaphore = asyncio.Semaphore(permits)
        self._executor = executor

    async def run(self, prepare: Callable[[], Callable[[], T] | None]) -> T | None:
        """Waits for a permit, then asks `prepare` what to run; None runs nothing. What is run is chosen
        as late as possible, so that it is what is best to run then."""
        async with self._semaphore:
            work = prepare()
            if work is None:
                return None
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)


class BatchQueue:
    """The pieces that wait for one model. Make it inside a running event loop; `close` it there."""

    def __init__(self, run: RunBatch, limits: Limits, permits: CorePermits, clock: Clock = time.monotonic) -> None:
        self._run = run
        self._limits = limits
        self._permits = permits
        self._clock = clock
        self._waiting: list[_Entry] = []
        self._wake = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._work())

    @property
    def waiting(self) -> int:
        """Pieces that wait."""
        return len(self._waiting)

    def submit(
        self,
        ids: TokenIds,
        options: DecodingOptions,
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> asyncio.Future[Outcome]:
        """Queues a piece. `deadline` is a reading of the clock. Cancel the future to withdraw the piece.

        Its future raises `DeadlineExceeded` when the piece was not begun in time, `Unavailable` when the
        queue is closed, and what the backend raised when the piece failed by itself too.
        """
        if self._task.done():
            raise Unavailable("the model is being unloaded")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Entry(ids, options, priority, deadline, self._clock(), future))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Takes no more pieces; those that wait, and those of the batch in work, fail with `Unavailable`."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for entry in self._waiting:
            if not entry.future.done():
                entry.future.set_exception(Unavailable("the model is being unloaded"))
        self._waiting.clear()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._run_batch(self._take)
                # Lets the futures' owners queue their next pieces before the next batch is filled.
                await asyncio.sleep(0)

    async def _run_batch(self, choose: Callable[[], list[_Entry]]) -> None:
        """Runs the entries that `choose` gives once a permit is free.

        A batch that fails is run again piece by piece, so that one poison piece fails alone.
        """
        batch: list[_Entry] = []
        started = 0.0

        def prepare() -> Callable[[], list[Hypothesis]] | None:
            nonlocal batch, started
            batch, started = choose(), self._clock()
            if not batch:
                return None
            ids = [entry.ids for entry in batch]
            return lambda: self._run(ids, batch[0].options, lambda: all(entry.future.done() for entry in batch))

        try:
            hypotheses = await self._permits.run(prepare)
            if hypotheses is not None and len(hypotheses) != len(batch):
                raise RuntimeError(f"the backend gave {len(hypotheses)} hypotheses for {len(batch)} pieces")
        except asyncio.CancelledError:
            for entry in batch:
                _settle(entry, Unavailable("the model is being unloaded"))
            raise
        except Exception as error:  # noqa: BLE001 (any failure of a backend belongs to its pieces)
            if len(batch) == 1:
                _settle(batch[0], error)
                return
            for entry in batch:
                await self._run_batch(lambda entry=entry: [] if entry.future.done() else [entry])  # type: ignore[misc]
            return
        ended = self._clock()
        for entry, hypothesis in zip(batch, hypotheses or [], strict=True):
            _settle(entry, Outcome(hypothesis, entry.queued, started, ended))

    def _take(self) -> list[_Entry]:
        """The next batch: the first in line, and those like it that waste least padding beside it."""
        self._drop_dead()
        if not self._waiting:
            return []
        head = min(self._waiting, key=lambda entry: (entry.priority, entry.queued))
        alike = [e for e in self._waiting if e.options == head.options and e.priority == head.priority]
        # sorted() is stable: among equals the oldest goes first, and the head is nearest to itself.
        alike.sort(key=lambda entry: (abs(len(entry.ids) - len(head.ids)), entry is not head))
        batch: list[_Entry] = []
        longest = 0
        for entry in alike:
            longest = max(longest, len(entry.ids))
            if batch and longest * (len(batch) + 1) > self._limits.max_batch_tokens:
                break
            batch.append(entry)
            if len(batch) == self._limits.max_batch_rows:
                break
        taken = set(map(id, batch))
        self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
        return batch

    def _drop_dead(self) -> None:
        """Drops pieces whose caller has gone, and fails those whose time is over."""
        now = self._clock()
        alive = []
        for entry in self._waiting:
            if entry.deadline is not None and entry.deadline <= now:
                _settle(entry, DeadlineExceeded("the deadline passed before the work began"))
            if not entry.future.done():
                alive.append(entry)
        self._waiting = alive


def _settle(entry: _Entry, result: Outcome | BaseException) -> None:
    if entry.future.done():
        return
    if isinstance(result, BaseException):
        entry.future.set_exception(result)
    else:
        entry.future.set_result(result)


async def off_loop(size: int, work: Callable[[], T]) -> T:
    """Runs `work` over `size` code points of text: at once when that is little, else in a thread."""
    return work() if size <= _INLINE_CHARACTERS else await asyncio.to_thread(work)


class PieceWindow:
    """Bounds the pieces that one request has in the queues, so that a document of any size is fed through.

    First come, first served. A demand larger than the window waits until it is empty.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Holds room for `count` pieces."""
        count = min(count, self._size)
        if self._waiters or self._used + count > self._size:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((count, waiter))
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._release(count)
                raise
        else:
            self._used += count
        try:
            yield
        finally:
            self._release(count)

    def _release(self, count: int) -> None:
        self._used -= count
        while self._waiters and (self._waiters[0][1].done() or self._used + self._waiters[0][0] <= self._size):
            wanted, waiter = self._waiters.popleft()
            if not waiter.done():
                self._used += wanted
                waiter.set_result(None)
