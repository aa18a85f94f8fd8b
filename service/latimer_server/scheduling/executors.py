"""The threads that batches run in, and for each model a seat among them: which threads, how many cores.

Knows threads and permits; nothing of what is run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

from latimer_server.scheduling.permits import CorePermits
from latimer_server.scheduling.priority import Priority
from latimer_server.scheduling.thread_priority import BATCH_NICENESS, lower_priority

T = TypeVar("T")
P = ParamSpec("P")


def _interactive() -> Priority:
    return Priority.INTERACTIVE


class _Call(Generic[T]):
    """Something to run, then what came of it. A thread refers to what it ran, and to what that returned or raised, for
    a moment after everybody was told; here it refers to this, which is empty by then."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: list[Callable[[], T]] = [work]
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._forgotten = False

    def run(self) -> None:
        """Runs it, in whatever thread."""
        try:
            result = self._work.pop()()
            if not self._forgotten:
                self._results.append(result)
        except BaseException as error:  # noqa: BLE001 (told to whoever waits, whatever it is)
            if not self._forgotten:
                self._errors.append(error)

    def read(self) -> T:
        """The result, once; raises what it raised."""
        if self._errors:
            raise self._errors.pop()
        return self._results.pop()

    def forget(self) -> None:
        """Nobody will read it."""
        self._forgotten = True
        self._results.clear()
        self._errors.clear()


class ComputeSlot:
    """Where a model's batches run: at most `batches` at a time, each in a thread of `executor` and on `cores`
    cores of the permits."""

    def __init__(
        self, permits: CorePermits, executor: Executor, *, cores: int = 1, batches: int = 1, generation: bool = False
    ) -> None:
        self.batches = batches
        self.cores = cores
        self._permits = permits
        self._executor = executor
        self._generation = generation
        self._running: set[asyncio.Future[None]] = set()

    @property
    def spare(self) -> int:
        """How many more batches could begin now, as far as cores go."""
        return self._permits.spare // self.cores

    async def run(
        self, prepare: Callable[[], Callable[[], T] | None], priority: Callable[[], Priority] = _interactive
    ) -> T | None:
        """Waits for permits, then asks `prepare` what to run; None runs nothing. What is run is chosen as late as
        possible, so that it is what is best to run then.

        A caller that is cancelled leaves what runs to its end, and its permits are free only then.
        """
        granted = await self._permits.acquire(self.cores, generation=self._generation, priority=priority)
        call: _Call[T] | None = None
        try:
            work = prepare()
            if work is None:
                return None
            call = _Call(work)
            del work
            notified = self._start(call, granted)
        except BaseException:
            call = None
            raise
        finally:
            if call is None:
                self._permits.release(granted, generation=self._generation)
        try:
            await notified
        except asyncio.CancelledError:
            call.forget()
            raise
        return call.read()

    def _start(self, call: _Call[T], granted: int) -> asyncio.Future[None]:
        """Has a thread make the call. The future tells whoever waits, in the turn of the loop in which the thread is
        heard: to wrap the executor's own and shield it would take two turns more, with everybody's callbacks in them.
        """
        loop = asyncio.get_running_loop()
        notified: asyncio.Future[None] = loop.create_future()
        ended: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            self._running.discard(ended)
            ended.set_result(None)
            self._permits.release(granted, generation=self._generation)
            if not notified.done():
                notified.set_result(None)

        made = self._executor.submit(call.run)
        self._running.add(ended)

        def tell(_: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(finish)

        # After the executor's own: what has told us is free for the next batch.
        made.add_done_callback(tell)
        return notified

    async def wait_until_idle(self) -> None:
        """Waits until nothing runs here, whoever has stopped waiting for it."""
        while self._running:
            await asyncio.wait(self._running)


class StickyThreadPool(Executor):
    """Threads of which the first that is free takes the next work: what it left in its core's caches, of a model's
    weights above all, is there still. The threads of one `ThreadPoolExecutor` take turns."""

    def __init__(self, size: int, name: str) -> None:
        self._threads = [
            ThreadPoolExecutor(1, f"{name}_{number}", initializer=lower_priority, initargs=(BATCH_NICENESS,))
            for number in range(size)
        ]
        self._work = [0] * size  # that each has
        self._lock = Lock()

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`. Where none is free it waits for one that has least to do."""
        with self._lock:
            number = self._work.index(min(self._work))
            self._work[number] += 1
        try:
            future = self._threads[number].submit(work, *args, **kwargs)
        except BaseException:  # the system may have no more threads to give
            self._note_done(number)
            raise
        future.add_done_callback(lambda _: self._note_done(number))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 (as Executor's)
        """See `Executor.shutdown`."""
        for thread in self._threads:
            thread.shutdown(wait, cancel_futures=cancel_futures)

    def _note_done(self, number: int) -> None:
        with self._lock:
            self._work[number] -= 1


class Executors:
    """The threads and permits of a server. Make it with the cores that batches may use; `close` it in the end.

    Libraries that use every core for one batch (torch) run in one thread, always the same: OpenMP keeps a team of
    threads for each that ever called it, and beside an idle second team batches take 1.6 times as long. Libraries
    that run a batch on a core or a few, without Python's lock, have a thread for each core. Summaries have a thread
    of their own: they take seconds.
    """

    def __init__(self, cores: int) -> None:
        self.permits = CorePermits(cores)
        self._single = ThreadPoolExecutor(1, "batch", initializer=lower_priority, initargs=(BATCH_NICENESS,))
        self._per_core = StickyThreadPool(cores, "worker")
        self._generation = ThreadPoolExecutor(1, thread_name_prefix="generation")

    def count_threads(self, *, generation: bool) -> int:
        """The cores that a model may use in all: what its backend is told when it is loaded."""
        return self.permits.generation_cores if generation else self.permits.cores

    def slot(self, concurrent_batches: int = 1, *, generation: bool = False) -> ComputeSlot:
        """A seat for a model that runs so many batches at a time, each on its share of the cores."""
        threads = self.count_threads(generation=generation)
        if generation:
            return ComputeSlot(self.permits, self._generation, cores=threads, generation=True)
        batches = max(1, min(concurrent_batches, threads))
        executor = self._single if concurrent_batches == 1 else self._per_core
        return ComputeSlot(self.permits, executor, cores=threads // batches, batches=batches)

    def single_core_slot(self) -> ComputeSlot:
        """A seat for short work on one core, from however many callers: ranking sentences."""
        return ComputeSlot(self.permits, self._per_core, batches=self.permits.cores)

    def close(self) -> None:
        """Waits for what runs, and ends the threads."""
        for executor in (self._single, self._per_core, self._generation):
            executor.shutdown(wait=True)
