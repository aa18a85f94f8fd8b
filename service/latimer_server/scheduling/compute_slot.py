"""Compute slot: runs the batches of one model in threads, with permits or inside a batch that pauses for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latimer_server.scheduling.compute_watch import ComputeWatch
from latimer_server.scheduling.lending import Lending
from latimer_server.scheduling.permits import CorePermits
from latimer_server.scheduling.preemption import InnerWork, PreemptibleBatch, PreemptibleBatches
from latimer_server.scheduling.priority import Priority, always_interactive

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
    """A batch that runs, with the permits that it was granted. `work`: None once it has ended. `began`: in seconds of
    the event loop."""

    permits: int
    work: Future[None] | None
    lending: Lending | None
    preemptible: PreemptibleBatch | None
    began: float
    is_lent: bool = False
    timer: asyncio.TimerHandle | None = None


def _return_once(work: Callable[[], T]) -> Callable[[], Callable[[], T]]:
    """Returns a callable that returns `work` and keeps no reference to it."""
    return [work].pop


class ComputeSlot:
    """The permits and threads of one model.

    Each batch runs in a thread of `executor` and with permits for `cores` cores. `batches` is the number of batches
    that the model's queue may run at a time; the slot does not check it. `generation` marks batches of summaries, to
    which `CorePermits` gives a limited share.

    A batch cannot be interrupted, and with wide beams it may take many seconds. So one that has run for `lend_seconds`
    while others wait gives back its permits before it ends, if `replace_thread` finds another thread for them (see
    `StickyThreadPool.replace_thread`). Then the operating system shares the cores.

    `preemptible`: the running bulk batches of all slots. If given, this slot adds its bulk batches to them, and its
    interactive batches preempt any of them. `watch` watches the threads; `delegates`: see `BatchLimits`.
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
        preemptible: PreemptibleBatches | None = None,
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
        # A library's own threads poll `cancelled` at any time, and must not compute other batches.
        self._preemptible = None if delegates else preemptible
        self._running: set[asyncio.Future[None]] = set()

    @property
    def spare(self) -> int:
        """The number of further batches that free cores allow now."""
        return self._permits.spare // self.cores

    @property
    def preempts(self) -> bool:
        """True if bulk batches of this slot can be preempted, and interactive ones preempt others."""
        return self._preemptible is not None

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Calls `listener` whenever a batch can be preempted, until it is removed."""
        if self._preemptible:
            self._preemptible.add_listener(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Ends the calls of a listener."""
        if self._preemptible:
            self._preemptible.remove_listener(listener)

    def take_preemptible(self) -> PreemptibleBatch | None:
        """Reserves a running bulk batch that can be preempted, to be passed to `run`; None if none is free."""
        return self._preemptible.take() if self._preemptible else None

    async def run(
        self,
        prepare: Callable[[], Callable[[], T] | None],
        priority: Callable[[], Priority] = always_interactive,
        lending: Lending | None = None,
        preempted: PreemptibleBatch | None = None,
    ) -> T | None:
        """Waits for permits, then runs the callable that `prepare` returns in a thread and returns its result.

        `prepare` runs on the event loop once the permits are granted, so that it can choose the best work at that
        moment. If it returns None, nothing runs and the result is None. If the caller is cancelled, a running
        callable continues to its end and its permits are released only then. `lending`: see `Lending`.

        `preempted`: a result of `take_preemptible`. Its thread runs the callable and no permits are needed, except if
        that batch ends at this moment. Interactive work that is in no queue, and so has no `lending`, takes one itself.
        """
        is_alone = lending is None and not self.spare and priority() is Priority.INTERACTIVE
        if preempted := preempted or (self.take_preemptible() if is_alone else None):
            return await self._run_inside(preempted, prepare, priority, lending)
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

    async def _run_inside(
        self,
        preempted: PreemptibleBatch,
        prepare: Callable[[], Callable[[], T] | None],
        priority: Callable[[], Priority],
        lending: Lending | None,
    ) -> T | None:
        """Runs the callable that `prepare` returns in the thread of a batch that runs."""
        assert self._preemptible is not None  # noqa: S101 (only `take_preemptible` returns such batches)
        loop = asyncio.get_running_loop()
        completed: asyncio.Future[None] = loop.create_future()
        ended: asyncio.Future[None] = loop.create_future()
        preemptible = self._preemptible

        def finish() -> None:
            self._running.discard(ended)
            ended.set_result(None)
            preemptible.give_back(preempted)
            if not completed.done():
                completed.set_result(None)

        def run_call() -> None:
            call.run()
            with suppress(RuntimeError):  # the loop is closed, so no task waits
                loop.call_soon_threadsafe(finish)

        work = None
        try:
            work = prepare()
        finally:
            if work is None:
                preemptible.give_back(preempted)
        if work is None:
            return None
        call: _Call[T] = _Call(work)
        preemptible.note_work(preempted, InnerWork(lending, loop.time()))
        if not preempted.offer(run_call):
            # It has ended in its thread. Given back, it would be taken again until the loop hears of its end.
            preemptible.remove(preempted)
            return await self.run(_return_once(work), priority, lending)
        del work
        self._running.add(ended)
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
            self._stop_preemption(running)
            if not running.is_lent:
                self._permits.release(granted, generation=self._generation)
            if not completed.done():
                completed.set_result(None)

        submitted = self._executor.submit(self._run_watched, call)
        self._running.add(ended)
        preemptible = lending.get_preemptible() if lending and self._preemptible else None
        running = _Running(granted, submitted, lending, preemptible, loop.time())
        if self._preemptible and preemptible:
            self._preemptible.add(preemptible)
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
        loop = asyncio.get_running_loop()
        inside = self._preemptible.get_work(running.preemptible) if self._preemptible and running.preemptible else None
        lendings = [lending for lending in (running.lending, inside and inside.lending) if lending]
        is_long = inside is None or loop.time() - inside.began >= self._lend_seconds
        is_wanted = is_long and (self._permits.has_waiters or any(lending.is_wanted() for lending in lendings))
        if is_wanted and self._replace_thread(running.work):
            running.is_lent = True
            self._stop_preemption(running)
            self._permits.release(running.permits, generation=self._generation)
            for lending in lendings:
                lending.note()
            return
        running.timer = loop.call_later(min(_LOOK_SECONDS, self._lend_seconds), self._lend_if_wanted, running)

    def _stop_preemption(self, running: _Running) -> None:
        if self._preemptible and running.preemptible:
            self._preemptible.remove(running.preemptible)

    async def wait_until_idle(self) -> None:
        """Waits until no batch of this slot runs, including batches whose callers were cancelled."""
        while self._running:
            await asyncio.wait(self._running)
