"""A pool of threads that keeps busy threads busy, and can replace one whose work takes too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from latimer_server.scheduling.thread_priority import BATCH_NICENESS, LENT_NICENESS, lower_priority

T = TypeVar("T")
P = ParamSpec("P")
# Replaced threads of a pool, for each of its threads.
_MOST_REPLACED = 8


class _Worker:
    """A thread of a `StickyThreadPool`. `pending`: submitted and unfinished calls. `native_id`: 0 before it starts."""

    def __init__(self, name: str) -> None:
        self.pending = 0
        self.native_id = 0
        self.thread = ThreadPoolExecutor(1, name, initializer=self._enter)

    def _enter(self) -> None:
        lower_priority(BATCH_NICENESS)
        self.native_id = threading.get_native_id()


class StickyThreadPool(Executor):
    """A pool of `size` threads that gives each callable to the first thread, in a fixed order, that is free.

    A busy thread thus stays in use, and the caches of its core still hold the model's weights. A plain
    `ThreadPoolExecutor` rotates its threads. `name` is the prefix of the thread names.
    """

    def __init__(self, size: int, name: str) -> None:
        self._name = name
        self._workers = [_Worker(f"{name}_{number}") for number in range(size)]
        self._replaced: set[_Worker] = set()
        self._by_future: dict[Future[Any], _Worker] = {}
        self._lock = Lock()

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`. If no thread is free, the callable queues at a thread with the least pending calls."""
        with self._lock:
            worker = min(self._workers, key=lambda worker: worker.pending)
            worker.pending += 1
        try:
            future = worker.thread.submit(work, *args, **kwargs)
        except BaseException:  # the system may refuse a new thread
            with self._lock:
                worker.pending -= 1
            raise
        with self._lock:
            self._by_future[future] = worker
        future.add_done_callback(self._note_done)
        return future

    def replace_thread(self, future: Future[Any]) -> bool:
        """Starts another thread in place of the one that runs a callable, which ends after it and until then has the
        lowest priority. Returns False if the callable has ended, or if there are eight such threads for each place."""
        with self._lock:
            worker = self._by_future.get(future)
            if worker not in self._workers or len(self._replaced) >= _MOST_REPLACED * len(self._workers):
                return False
            self._workers[self._workers.index(worker)] = _Worker(self._name + "_r")
            self._replaced.add(worker)
        lower_priority(LENT_NICENESS, worker.native_id)
        worker.thread.shutdown(wait=False)
        return True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 (as Executor's)
        """See `Executor.shutdown`."""
        with self._lock:
            workers = [*self._workers, *self._replaced]
        for worker in workers:
            worker.thread.shutdown(wait, cancel_futures=cancel_futures)

    def _note_done(self, future: Future[Any]) -> None:
        with self._lock:
            worker = self._by_future.pop(future)
            worker.pending -= 1
            if not worker.pending:
                self._replaced.discard(worker)
