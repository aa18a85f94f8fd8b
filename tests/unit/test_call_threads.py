"""The threads of calls: bounded, reused, and ended when they are idle."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import wait

import pytest

from latimer_server.rpc.call_threads import CallThreads

ENDLESS = 600.0


def test_calls_run_side_by_side_up_to_the_bound_and_the_others_wait() -> None:
    threads = CallThreads(3, ENDLESS)
    together = threading.Barrier(4)
    first = [threads.submit(together.wait, 10) for _ in range(3)]
    later = threads.submit(lambda: "later")
    assert threads.count == 3
    assert not later.done()
    together.wait(10)
    assert later.result(10) == "later"
    assert not wait(first, 10).not_done


def test_a_thread_is_used_again() -> None:
    threads = CallThreads(8, ENDLESS)
    for _ in range(100):
        # A call may end just before its thread is idle again.
        threads.submit(threading.get_ident).result(10)
    assert threads.count <= 8
    futures = [threads.submit(threading.get_ident) for _ in range(1_000)]
    assert len({future.result(10) for future in futures}) <= 8


def test_a_thread_keeps_nothing_of_its_first_call() -> None:
    class Message:
        pass

    threads, message = CallThreads(1, ENDLESS), Message()
    kept = weakref.ref(message)
    threads.submit(lambda _: None, message).result(10)
    del message
    threads.submit(lambda: None).result(10)  # the only thread is past its first call
    gc.collect()
    assert kept() is None


def test_an_idle_thread_ends_and_work_goes_on() -> None:
    threads = CallThreads(8, idle_seconds=0.01)
    ended: list[threading.Thread] = [threads.submit(threading.current_thread).result(10) for _ in range(3)]
    for thread in ended:
        thread.join(10)
        assert not thread.is_alive()
    assert threads.count == 0
    assert threads.submit(lambda: "again").result(10) == "again"


def test_a_thread_that_becomes_idle_while_work_arrives_loses_none() -> None:
    threads = CallThreads(4, idle_seconds=0.0)
    futures = [threads.submit(lambda number=number: number) for number in range(5_000)]  # type: ignore[misc]
    assert [future.result(10) for future in futures] == list(range(5_000))


def test_what_the_work_raises_is_the_error_of_its_future() -> None:
    threads = CallThreads(1, ENDLESS)

    def fail() -> None:
        raise KeyError("call")

    with pytest.raises(KeyError):
        threads.submit(fail).result(10)
    assert threads.submit(lambda: 1).result(10) == 1


def test_cancelled_work_is_not_begun() -> None:
    threads, release, begun = CallThreads(1, ENDLESS), threading.Event(), list[int]()
    busy = threads.submit(release.wait, 10)
    cancelled = threads.submit(begun.append, 1)
    assert cancelled.cancel()
    release.set()
    assert busy.result(10)
    assert threads.submit(lambda: "next").result(10) == "next"
    assert not begun
