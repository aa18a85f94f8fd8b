"""Threads: which work runs where, on how many cores, and what stays of it afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from latimer_server.scheduling import CorePermits, Executors, Seat
from latimer_server.scheduling.executors import Team
from tests.unit.scheduling.machines import HeldExecutor, settle


@pytest.fixture
async def executors() -> AsyncIterator[Executors]:
    made = Executors(4)
    yield made
    made.close()


async def run_in(seat: Seat) -> str:
    name = await seat.run(lambda: lambda: threading.current_thread().name)
    assert name is not None
    return name.partition("_")[0]


async def test_one_batch_at_a_time_runs_always_in_the_same_thread_and_has_every_core(executors: Executors) -> None:
    seats = [executors.seat(), executors.seat(1)]
    assert {(seat.cores, seat.batches) for seat in seats} == {(4, 1)}
    threads = [await seat.run(lambda: threading.get_ident) for seat in seats for _ in range(5)]
    assert len(set(threads)) == 1
    assert await run_in(seats[0]) == "batch"


@pytest.mark.parametrize(("batches", "cores", "at_once"), [(4, 1, 4), (2, 2, 2), (3, 1, 3), (9, 1, 4)])
async def test_batches_at_the_same_time_share_the_cores(
    executors: Executors, batches: int, cores: int, at_once: int
) -> None:
    seat = executors.seat(batches)
    assert (seat.cores, seat.batches) == (cores, at_once)
    assert await run_in(seat) == "worker"


async def test_batches_one_after_the_other_run_in_the_same_thread(executors: Executors) -> None:
    seat, release = executors.seat(4), threading.Event()
    first = {await seat.run(lambda: threading.get_ident) for _ in range(20)}
    assert len(first) == 1
    held = asyncio.create_task(seat.run(lambda: release.wait))
    await settle()
    second = {await seat.run(lambda: threading.get_ident) for _ in range(20)}
    assert len(second) == 1
    assert first != second
    release.set()
    await held
    assert await seat.run(lambda: threading.get_ident) in first


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
async def test_batches_wait_for_the_event_loop_where_there_is_more_to_do_than_cores(executors: Executors) -> None:
    def read_niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = read_niceness()
    for seat in (executors.seat(1), executors.seat(4), executors.seat_small()):
        assert await seat.run(lambda: read_niceness) == min(19, own + 10)
    assert read_niceness() == own


def test_work_that_no_thread_could_begin_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    team = Team(2, "worker")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            team.submit(threading.get_ident)
    # The first thread is as free as it was.
    assert team.submit(lambda: threading.current_thread().name).result(10).startswith("worker_0")
    team.shutdown()


async def test_summaries_have_half_of_the_cores_and_a_thread_of_their_own(executors: Executors) -> None:
    seat = executors.seat(4, generation=True)
    assert (seat.cores, seat.batches, executors.count_threads(generation=True)) == (2, 1, 2)
    assert await run_in(seat) == "generation"


async def test_batches_of_two_models_never_have_more_cores_than_there_are() -> None:
    permits, executor = CorePermits(2), HeldExecutor()
    narrow, wide = Seat(permits, executor, cores=1, batches=2), Seat(permits, executor, cores=2)
    tasks = [asyncio.create_task(seat.run(lambda: lambda: None)) for seat in (narrow, wide, narrow, narrow)]
    seen = []
    await settle()
    while executor.held:
        seen.append((permits.used, len(executor.held)))
        await executor.finish()
    await asyncio.gather(*tasks)
    assert seen == [(1, 1), (2, 1), (2, 2), (1, 1)]


async def test_permits_come_back_whatever_becomes_of_the_work(executors: Executors) -> None:
    seat = executors.seat()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await seat.run(lambda: fail)
    with pytest.raises(ValueError, match="no"):
        await seat.run(fail)
    await seat.run(lambda: None)
    assert executors.permits.used == 0


async def test_permits_of_a_batch_whose_callers_left_come_back_when_it_has_ended() -> None:
    permits, executor = CorePermits(1), HeldExecutor()
    seat = Seat(permits, executor)
    task = asyncio.create_task(seat.run(lambda: lambda: 1))
    await settle()
    task.cancel()
    resting = asyncio.create_task(seat.rest())
    await settle()
    assert permits.used == 1
    assert not resting.done()
    await executor.finish()
    await resting
    assert permits.used == 0


async def test_a_thread_keeps_nothing_of_what_it_ran(executors: Executors) -> None:
    class Weights:
        def run(self, *, fails: bool) -> Weights:
            if fails:
                raise ValueError
            return self

    async def use(*, fails: bool) -> weakref.ref[Weights]:
        weights = Weights()
        with suppress(ValueError):
            await executors.seat().run(lambda: lambda: weights.run(fails=fails))
        return weakref.ref(weights)

    for _ in range(20):
        references = [await use(fails=False), await use(fails=True)]
        gc.collect()
        assert [reference() for reference in references] == [None, None]
