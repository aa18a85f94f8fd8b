"""The watch over compute threads: which ones make no progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from latimer_server.scheduling.compute_watch import ComputeWatch

# More than the looks without progress that the watch allows.
LOOKS = 8


@contextmanager
def working(
    watch: ComputeWatch, work: Callable[[threading.Event], object], *, delegates: bool = False
) -> Iterator[None]:
    """Runs `work` in a compute thread; it must end once the event is set."""
    begun, ended = threading.Event(), threading.Event()

    def run() -> None:
        watch.begin(delegates=delegates)
        begun.set()
        work(ended)
        watch.end()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_thread_that_waits_for_ever_is_stalled() -> None:
    watch = ComputeWatch()
    with working(watch, lambda ended: ended.wait()):
        assert [watch.count_stalled() for _ in range(LOOKS)][-1] == 1
    assert watch.count_stalled() == 0


def test_the_first_looks_do_not_count_a_thread_as_stalled() -> None:
    watch = ComputeWatch()
    with working(watch, lambda ended: ended.wait()):
        assert [watch.count_stalled() for _ in range(4)] == [0, 0, 0, 0]


def test_a_thread_whose_backend_polls_is_not_stalled() -> None:
    watch = ComputeWatch()
    polls, polled = threading.Semaphore(0), threading.Semaphore(0)

    def work(ended: threading.Event) -> None:
        cancelled = watch.note_polls(lambda: False)
        while not ended.is_set():
            polls.acquire()
            cancelled()
            polled.release()

    with working(watch, work):
        for _ in range(2 * LOOKS):
            polls.release()
            polled.acquire()
            assert watch.count_stalled() == 0
        polls.release()


def test_a_poll_from_a_thread_of_a_library_counts_for_the_work() -> None:
    watch = ComputeWatch()
    given: list[Callable[[], bool]] = []
    ready = threading.Event()

    def work(ended: threading.Event) -> None:
        given.append(watch.note_polls(lambda: False))
        ready.set()
        ended.wait()

    with working(watch, work):
        ready.wait()
        for _ in range(2 * LOOKS):
            given[0]()
            assert watch.count_stalled() == 0


def test_a_thread_that_computes_without_polling_is_not_stalled() -> None:
    watch = ComputeWatch()
    computed = threading.Semaphore(0)

    def work(ended: threading.Event) -> None:
        while not ended.is_set():
            sum(range(100_000))
            computed.release()

    with working(watch, work):
        for _ in range(LOOKS):
            for _ in range(5):
                computed.acquire()
            assert watch.count_stalled() == 0


def test_a_library_that_computes_in_its_own_threads_makes_progress_while_the_process_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter(range(100))
    monkeypatch.setattr("latimer_server.scheduling.compute_watch.time.process_time", lambda: float(next(seconds)))
    watch = ComputeWatch()
    with working(watch, lambda ended: ended.wait(), delegates=True):
        assert not any(watch.count_stalled() for _ in range(LOOKS))


def test_looks_of_a_stopped_process_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """After SIGSTOP, or a while without a core, the first look comes late."""
    watch = ComputeWatch()
    now = iter(range(1_000, 10_000, 60))
    with working(watch, lambda ended: ended.wait()):
        monkeypatch.setattr("latimer_server.scheduling.compute_watch.time.monotonic", lambda: float(next(now)))
        assert not any(watch.count_stalled() for _ in range(LOOKS))
