"""Joins the pieces of all requests for a model into batches and runs them one after another.

Knows no gRPC, no model and no clock but the one it is given; a batch is run by whatever callable it is
given, off the event loop. The batch rule (callers take turns to begin one, and it is filled with the nearest in
length up to a budget of padded tokens) follows text-embeddings-inference's queue and CTranslate2's token batches.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from latimer_server.backends.base import Cancelled, DecodingOptions, Hypothesis, Limits, TokenIds
from latimer_server.errors import DeadlineExceeded, Overloaded, Unavailable

Clock = Callable[[], float]
T = TypeVar("T")
# A thread costs more than work on so little text, which takes well under a millisecond.
_INLINE_CHARACTERS = 2_000
# What a text costs beside its length, in code points.
_TEXT_CHARACTERS = 50
# Withdrawn pieces that a lane keeps before it looks for them.
_MOST_WITHDRAWN = 1_024
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
    deadline: float | None
    queued: float
    future: asyncio.Future[Outcome] = field(repr=False)
    taken: bool = False


class _Lane:
    """The pieces of one priority and one set of options. Each stands in two orders: that of its caller,
    whose turn decides what a batch begins with, and that of its length, which decides what joins it. A piece
    that was taken in one is skipped in the other."""

    def __init__(self, served: int) -> None:
        self.served = served  # the number of the last batch taken here
        self.withdrawn = 0  # pieces that nobody waits for any more and that still stand here
        self._turns: OrderedDict[Hashable, deque[_Entry]] = OrderedDict()
        self._by_length: dict[int, deque[_Entry]] = {}

    def add(self, entry: _Entry, caller: Hashable) -> None:
        self._turns.setdefault(caller, deque()).append(entry)
        self._by_length.setdefault(len(entry.ids), deque()).append(entry)
        entry.future.add_done_callback(lambda _: self._note_done(entry))

    def take(self, limits: Limits, is_alive: Callable[[_Entry], bool]) -> list[_Entry]:
        """The oldest piece of the caller whose turn it is, and those that waste least padding beside it."""
        if self.withdrawn > _MOST_WITHDRAWN:
            self._sweep()
        head = self._take_head(is_alive)
        if head is None:
            return []
        batch, longest = [head], len(head.ids)
        for entry in self._nearest(longest, is_alive):
            longest = max(longest, len(entry.ids))
            if len(batch) == limits.max_batch_rows or longest * (len(batch) + 1) > limits.max_batch_tokens:
                break
            entry.taken = True
            batch.append(entry)
        return batch

    def drain(self) -> Iterator[_Entry]:
        """Every piece that was not taken."""
        for entries in self._turns.values():
            yield from (entry for entry in entries if not entry.taken)

    def _sweep(self) -> None:
        """Forgets withdrawn pieces: those of a length that no batch comes near would stay for good."""
        self.withdrawn = 0
        for size, entries in list(self._by_length.items()):
            self._by_length[size] = deque(entry for entry in entries if not entry.taken and not entry.future.done())
        for caller, entries in list(self._turns.items()):
            self._turns[caller] = deque(entry for entry in entries if not entry.taken and not entry.future.done())

    def _note_done(self, entry: _Entry) -> None:
        if not entry.taken:
            self.withdrawn += 1

    def _take_head(self, is_alive: Callable[[_Entry], bool]) -> _Entry | None:
        while self._turns:
            caller, entries = self._turns.popitem(last=False)
            while entries:
                entry = entries.popleft()
                if is_alive(entry):
                    entry.taken = True
                    if entries:
                        self._turns[caller] = entries
                    return entry
        return None

    def _nearest(self, length: int, is_alive: Callable[[_Entry], bool]) -> Iterator[_Entry]:
        """Pieces by how near their length is, the oldest first among equals. One that is yielded and not taken
        stays."""
        for size in sorted(self._by_length, key=lambda size: abs(size - length)):
            entries = self._by_length[size]
            while entries:
                if is_alive(entries[0]):
                    yield entries[0]
                    if not entries[0].taken:
                        return
                entries.popleft()
            del self._by_length[size]


class Admission:
    """Bounds the requests in work. Past the bound a request is refused at once, not queued."""

    def __init__(self, most: int, retry_after: float = 1.0) -> None:
        self._most = most
        self._retry_after = retry_after
        self._draining = False
        self.active = 0  # requests in work

    def drain(self) -> None:
        """Refuses every request from now on."""
        self._draining = True

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Holds a place while the request is in work. Raises `Overloaded` or `Unavailable`."""
        if self._draining:
            raise Unavailable("the server is shutting down")
        if self.active >= self._most:
            raise Overloaded(f"{self._most} requests are in work, which is the limit", self._retry_after)
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1


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
        self._lanes: dict[tuple[Priority, DecodingOptions], _Lane] = {}
        self._batches = 0
        self._wake = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._work())

    def submit(
        self,
        ids: TokenIds,
        options: DecodingOptions,
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
        caller: Hashable = None,
    ) -> asyncio.Future[Outcome]:
        """Queues a piece. `deadline` is a reading of the clock; callers take turns. Cancel the future to
        withdraw the piece.

        Its future raises `DeadlineExceeded` when the piece was not begun in time, `Unavailable` when the
        queue is closed, and what the backend raised when the piece failed by itself too.
        """
        if self._task.done():
            raise Unavailable("the model is being unloaded")
        entry = _Entry(ids, deadline, self._clock(), asyncio.get_running_loop().create_future())
        key = (priority, options)
        if key not in self._lanes:
            # As if it had just been served: else whoever brings new options each time would always be next.
            self._lanes[key] = _Lane(self._batches)
        self._lanes[key].add(entry, caller)
        self._wake.set()
        return entry.future

    async def close(self) -> None:
        """Takes no more pieces; those that wait, and those of the batch in work, fail with `Unavailable`."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for lane in self._lanes.values():
            for entry in lane.drain():
                _settle(entry, Unavailable("the model is being unloaded"))
        self._lanes.clear()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._lanes:
                await self._run_batch(self._take)
                # Lets the futures' owners queue their next pieces before the next batch is filled.
                await asyncio.sleep(0)

    async def _run_batch(self, choose: Callable[[], tuple[list[_Entry], DecodingOptions]]) -> None:
        """Runs the entries that `choose` gives once a permit is free.

        A batch that fails is run again piece by piece, so that one poison piece fails alone.
        """
        batch: list[_Entry] = []
        options = DecodingOptions()
        started = 0.0

        def prepare() -> Callable[[], list[Hypothesis]] | None:
            nonlocal batch, options, started
            (batch, options), started = choose(), self._clock()
            if not batch:
                return None
            ids = [entry.ids for entry in batch]
            return lambda: self._run(ids, options, lambda: all(entry.future.done() for entry in batch))

        try:
            hypotheses = await self._permits.run(prepare)
            if hypotheses is not None and len(hypotheses) != len(batch):
                raise RuntimeError(f"the backend gave {len(hypotheses)} hypotheses for {len(batch)} pieces")
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            for entry in batch:
                _settle(entry, Unavailable("the model is being unloaded"))
            raise
        except BaseException as error:  # noqa: BLE001 (any failure of a backend is its pieces', a Rust panic too)
            if len(batch) == 1:
                _settle(batch[0], error)
                return
            for entry in batch:
                alone = [] if entry.future.done() else [entry]
                await self._run_batch(lambda alone=alone, options=options: (alone, options))  # type: ignore[misc]
            return
        ended = self._clock()
        for entry, hypothesis in zip(batch, hypotheses or [], strict=True):
            _settle(entry, Outcome(hypothesis, entry.queued, started, ended))

    def _take(self) -> tuple[list[_Entry], DecodingOptions]:
        """The next batch: of the most urgent priority, of the options that have waited longest."""
        while self._lanes:
            key = min(self._lanes, key=lambda key: (key[0], self._lanes[key].served))
            batch = self._lanes[key].take(self._limits, self._is_alive)
            if batch:
                self._batches += 1
                self._lanes[key].served = self._batches
                return batch, key[1]
            del self._lanes[key]
        return [], DecodingOptions()

    def _is_alive(self, entry: _Entry) -> bool:
        """Whether somebody still waits for a piece, and in time; a late one is told so."""
        if entry.deadline is not None and entry.deadline <= self._clock():
            _settle(entry, DeadlineExceeded("the deadline passed before the work began"))
        return not entry.taken and not entry.future.done()


def _settle(entry: _Entry, result: Outcome | BaseException) -> None:
    if entry.future.done():
        return
    if isinstance(result, BaseException):
        # What is no Exception would end the tasks of those who wait, not only their call.
        entry.future.set_exception(result if isinstance(result, Exception) else RuntimeError(type(result).__name__))
    else:
        entry.future.set_result(result)


def weigh_texts(texts: Sequence[str]) -> int:
    """The work on texts, for `off_loop`: a thousand of one letter are no little work."""
    return sum(map(len, texts)) + _TEXT_CHARACTERS * len(texts)


async def off_loop(size: int, work: Callable[[], T]) -> T:
    """Runs `work` over `size` code points of text: at once when that is little, else in a thread."""
    return work() if size <= _INLINE_CHARACTERS else await asyncio.to_thread(work)


async def gather_or_cancel(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all; when one fails or the caller goes, the others are cancelled and waited for."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


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
