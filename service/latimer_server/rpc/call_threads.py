"""The threads of calls: as many as calls need, up to a bound, which end when they have been idle for a while.

`ThreadPoolExecutor` keeps every thread that a burst or an attack has made it start. A thread that has run calls holds
about 100 kB, most of it in the C library's cache of freed memory, so that 1,500 threads would keep 150 MB for good.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_IDLE_SECONDS = 30.0


@dataclass(frozen=True)
class _Work:
    """A call of a function, and the future of its result."""

    future: Future[Any]
    run: Callable[[], Any]


_Inbox = SimpleQueue[_Work]


class CallThreads(Executor):
    """An executor of at most `most` threads, which end after `idle_seconds` without work. Thread-safe.

    Work goes to the thread that was busy last, so that the others become idle. Beyond `most` it waits for a thread.
    """

    def __init__(self, most: int, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: list[_Inbox] = []  # of idle threads; the last was busy last
        self._waiting: deque[_Work] = deque()
        self.count = 0  # threads that exist
        self.active = 0  # calls that run or wait for a thread

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs a function in a thread and returns the future of its result."""
        future: Future[T] = Future()
        future.add_done_callback(self._note_done)
        work = _Work(future, lambda: fn(*args, **kwargs))
        with self._lock:
            self.active += 1
            if self._idle:
                self._idle.pop().put(work)
                return future
            if self.count == self._most:
                self._waiting.append(work)
                return future
            self.count += 1
        try:
            # A thread object keeps its arguments until it ends, and with them its first call.
            inbox: _Inbox = SimpleQueue()
            inbox.put(work)
            threading.Thread(target=self._serve, args=(inbox,), name="call", daemon=True).start()
        except BaseException:
            with self._lock:
                self.count -= 1
                self.active -= 1
            raise
        return future

    def _note_done(self, _: Future[Any]) -> None:
        with self._lock:
            self.active -= 1

    def _serve(self, inbox: _Inbox) -> None:
        work: _Work | None = inbox.get()
        while work is not None:
            _run(work)
            work = None  # an idle thread must not keep a call alive
            work = self._take(inbox)

    def _take(self, inbox: _Inbox) -> _Work | None:
        """Waits for the next work of a thread; None if there was none for a while."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(inbox)
        try:
            return inbox.get(timeout=self._idle_seconds)
        except Empty:
            with self._lock:
                if inbox in self._idle:
                    self._idle.remove(inbox)
                    self.count -= 1
                    return None
            return inbox.get()  # it was given work at the last moment


def _run(work: _Work) -> None:
    if not work.future.set_running_or_notify_cancel():
        return
    try:
        result = work.run()
    except BaseException as error:  # noqa: BLE001 (the future raises it, whatever its type)
        work.future.set_exception(error)
        del work  # the error's traceback refers to this frame
    else:
        work.future.set_result(result)
