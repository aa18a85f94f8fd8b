"""Executors: the threads in which batches run, and one compute slot for each model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latimer_server.scheduling.compute_watch import ComputeWatch
from latimer_server.scheduling.lending import Lending
from latimer_server.scheduling.permits import CorePermits
from latimer_server.scheduling.priority import Priority, always_interactive
from latimer_server.scheduling.sticky_threads import StickyThreadPool
from latimer_server.scheduling.thread_priority import BATCH_NICENESS, lower_priority

T = TypeVar("T")
# A batch that has run for so many seconds lends its permits to other work that waits; it is looked at again this often.
_LEND_SECONDS = 0.5
_LOOK_SECONDS = 0.1


class _Call(Generic[T]):
    """A callable that runs once in a pool thread, and its result or error.

    A pool thread keeps a reference to the last object that it ran for a moment after completion. It refers to this
    object, which is empty by then, so the thread keeps neither the callable nor the result alive.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: list[Callable[[], T]] = [work]
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._discarded = False

    def run(self) -> None:
        """Runs the work in the calling thread and keeps its result or error."""
        try:
            result = self._work.pop()()
            if not self._discarded:
                self._results.append(result)
        except BaseException as error:  # noqa: BLE001 (`read` raises it in the waiting task, whatever its type)
            if not self._discarded:
                self._errors.append(error)

    def read(self) -> T:
        """Returns the result or raises the error. May be called once."""
        if self._errors:
            raise self._errors.pop()
        return self._results.pop()

    def discard(self) -> None:
        """Drops the result, now or when it arrives."""
        self._discarded = True
        self._results.clear()
        self._errors.clear()


@dataclass(eq=False)
class _Running:
    """A batch that runs, with the permits that it was granted. `work`: None once it has ended."""

    permits: int
    work: Future[None] | None
    lending: Lending | None
    is_lent: bool = False
    timer: asyncio.TimerHandle | None = None


class ComputeSlot:
    """The permits and threads of one model.

    Each batch runs in a thread of `executor` and with permits for `cores` cores. `batches` is the number of batches
    that the model's queue may run at a time; the slot does not check it. `generation` marks batches of summaries, to
    which `CorePermits` gives a limited share.

    A batch cannot be interrupted, and with wide beams it may take many seconds. So one that has run for `lend_seconds`
    while others wait gives back its permits before it ends, if `replace_thread` finds another thread for them (see
    `StickyThreadPool.replace_thread`). Then the operating system shares the cores.

    `watch` watches the threads; `delegates`: see `BatchLimits`.
    """

    def __init__(
        self,
        permits: CorePermits,
        executor: Executor,
        *,
        cores: int = 1,
        batches: int = 1,
        generation: bool = False,
        replace_thread: Callable[[Future[Any]], bool] | None = None,
        lend_seconds: float = _LEND_SECONDS,
        watch: ComputeWatch | None = None,
        delegates: bool = False,
    ) -> None:
        self.watch = watch or ComputeWatch()
        self._delegates = delegates
        self.batches = batches
        self.cores = cores
        self._permits = permits
        self._executor = executor
        self._generation = generation
        self._replace_thread = replace_thread
        self._lend_seconds = lend_seconds
        self._running: set[asyncio.Future[None]] = set()

    @property
    def spare(self) -> int:
        """The number of further batches that free cores allow now."""
        return self._permits.spare // self.cores

    async def run(
        self,
        prepare: Callable[[], Callable[[], T] | None],
        priority: Callable[[], Priority] = always_interactive,
        lending: Lending | None = None,
    ) -> T | None:
        """Waits for permits, then runs the callable that `prepare` returns in a thread and returns its result.

        `prepare` runs on the event loop once the permits are granted, so that it can choose the best work at that
        moment. If it returns None, nothing runs and the result is None. If the caller is cancelled, a running
        callable continues to its end and its permits are released only then. `lending`: see `Lending`.
        """
        granted = await self._permits.acquire(self.cores, generation=self._generation, priority=priority)
        call: _Call[T] | None = None
        try:
            work = prepare()
            if work is None:
                return None
            call = _Call(work)
            del work
            completed = self._start(call, granted, lending)
        except BaseException:
            call = None
            raise
        finally:
            if call is None:
                self._permits.release(granted, generation=self._generation)
        try:
            await completed
        except asyncio.CancelledError:
            call.discard()
            raise
        return call.read()

    def _start(self, call: _Call[T], granted: int, lending: Lending | None) -> asyncio.Future[None]:
        """Submits the call to the executor and returns a future that is done when the call has ended.

        Wrapping and shielding the executor's own future would resume the caller two turns of the event loop later.
        """
        loop = asyncio.get_running_loop()
        completed: asyncio.Future[None] = loop.create_future()
        ended: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            self._running.discard(ended)
            ended.set_result(None)
            if running.timer:
                running.timer.cancel()
            running.work = running.timer = None  # or they would refer to this function, and it to them
            if not running.is_lent:
                self._permits.release(granted, generation=self._generation)
            if not completed.done():
                completed.set_result(None)

        submitted = self._executor.submit(self._run_watched, call)
        self._running.add(ended)
        running = _Running(granted, submitted, lending)
        if self._replace_thread:
            running.timer = loop.call_later(self._lend_seconds, self._lend_if_wanted, running)

        def notify_loop(_: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop is closed, so no task waits
                loop.call_soon_threadsafe(finish)

        # Registered after the executor's own callback, so that the thread already counts as free.
        submitted.add_done_callback(notify_loop)
        return completed

    def _run_watched(self, call: _Call[T]) -> None:
        self.watch.begin(delegates=self._delegates)
        try:
            call.run()
        finally:
            self.watch.end()

    def _lend_if_wanted(self, running: _Running) -> None:
        """Gives back the permits of a batch that runs if others wait for them, else looks again later."""
        running.timer = None
        if running.work is None or not self._replace_thread:
            return
        is_wanted = self._permits.has_waiters or (running.lending is not None and running.lending.is_wanted())
        if is_wanted and self._replace_thread(running.work):
            running.is_lent = True
            self._permits.release(running.permits, generation=self._generation)
            if running.lending:
                running.lending.note()
            return
        loop = asyncio.get_running_loop()
        running.timer = loop.call_later(min(_LOOK_SECONDS, self._lend_seconds), self._lend_if_wanted, running)

    async def wait_until_idle(self) -> None:
        """Waits until no batch of this slot runs, including batches whose callers were cancelled."""
        while self._running:
            await asyncio.wait(self._running)


class Executors:
    """The threads and permits of a server. `cores` is the number of cores for batches. Call `close` at the end.

    A library that uses every core for one batch (torch) always runs in the same thread: OpenMP keeps a team of threads
    for every thread that called it, and beside an idle second team batches take 1.6 times as long. A library that runs
    a batch on a few cores and releases the interpreter lock gets one thread for each core. Summaries take seconds, so
    they run in a thread of their own.
    """

    def __init__(self, cores: int) -> None:
        self.permits = CorePermits(cores)
        self.watch = ComputeWatch()
        self._single = ThreadPoolExecutor(1, "batch", initializer=lower_priority, initargs=(BATCH_NICENESS,))
        self._per_core = StickyThreadPool(cores, "worker")
        self._generation = ThreadPoolExecutor(1, thread_name_prefix="generation")

    def count_threads(self, *, generation: bool) -> int:
        """Returns the number of cores that a model may use in total; its backend receives it when it is loaded.

        `generation` is True for a model that writes summaries.
        """
        return self.permits.generation_cores if generation else self.permits.cores

    def slot(self, concurrent_batches: int = 1, *, generation: bool = False, delegates: bool = False) -> ComputeSlot:
        """Returns the slot of a model that runs `concurrent_batches` at a time, at most one for each core.

        Each batch gets an equal share of the cores. A slot for `generation` runs one batch at a time on all cores that
        summaries may use. `delegates`: see `BatchLimits`.
        """
        threads = self.count_threads(generation=generation)
        if generation:
            return ComputeSlot(
                self.permits, self._generation, cores=threads, generation=True, watch=self.watch, delegates=delegates
            )
        batches = max(1, min(concurrent_batches, threads))
        executor = self._single if concurrent_batches == 1 else self._per_core
        lend = self._per_core.replace_thread if executor is self._per_core else None
        return ComputeSlot(
            self.permits,
            executor,
            cores=threads // batches,
            batches=batches,
            replace_thread=lend,
            watch=self.watch,
            delegates=delegates,
        )

    def single_core_slot(self) -> ComputeSlot:
        """Returns a slot for short work on one core for each call, such as ranking sentences."""
        lend = self._per_core.replace_thread
        return ComputeSlot(
            self.permits, self._per_core, batches=self.permits.cores, replace_thread=lend, watch=self.watch
        )

    def close(self) -> None:
        """Waits until all submitted callables have run, then ends the threads."""
        for executor in (self._single, self._per_core, self._generation):
            executor.shutdown(wait=True)
