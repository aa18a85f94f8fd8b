"""Long batches lend their permits: other work runs beside them, and their callers get no further batch."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import pytest

from latimer_server.core.decoding import BatchLimits
from latimer_server.scheduling import BatchQueue, ComputeSlot, CorePermits
from latimer_server.scheduling.sticky_threads import StickyThreadPool
from tests.unit.scheduling.machines import GREEDY, HeldExecutor, Machine, run_all, settle


def make_slot(
    permits: CorePermits, executor: HeldExecutor, *, can_replace: bool = True, batches: int = 1
) -> ComputeSlot:
    """A slot whose batches are long as soon as they run."""
    return ComputeSlot(permits, executor, batches=batches, replace_thread=lambda _: can_replace, lend_seconds=0.0)


async def test_a_long_batch_lends_its_permits_to_work_that_waits() -> None:
    permits, executor = CorePermits(1), HeldExecutor()
    slot = make_slot(permits, executor)
    long = asyncio.create_task(slot.run(lambda: lambda: "long"))
    await settle()
    assert permits.used == 1
    short = asyncio.create_task(slot.run(lambda: lambda: "short"))
    await settle()
    assert len(executor.held) == 2
    await executor.finish(1)
    assert await short == "short"
    assert permits.used == 0
    await executor.finish()
    assert await long == "long"
    assert permits.used == 0


async def test_permits_are_not_lent_without_a_thread() -> None:
    permits, executor = CorePermits(1), HeldExecutor()
    slot = make_slot(permits, executor, can_replace=False)
    tasks = [asyncio.create_task(slot.run(lambda: lambda: None)) for _ in range(2)]
    await settle()
    assert len(executor.held) == 1
    await run_all(executor)
    await asyncio.gather(*tasks)
    assert permits.used == 0


@asynccontextmanager
async def lending_queue(machine: Machine, batches: int = 1) -> AsyncIterator[tuple[BatchQueue, HeldExecutor]]:
    """A queue whose batches have one row and are long as soon as they run."""
    executor = HeldExecutor()
    slot = make_slot(CorePermits(batches), executor, batches=batches)
    queue = BatchQueue(machine.run, BatchLimits(50, 1_000, 1), slot, lambda: machine.now)
    yield queue, executor
    await queue.close()


async def test_another_caller_runs_beside_a_long_batch() -> None:
    machine = Machine()
    async with lending_queue(machine) as (queue, executor):
        hog = [queue.submit((1, i), GREEDY, caller="hog") for i in range(5)]
        await settle()
        for number in range(3):
            other = queue.submit((2, number), GREEDY, caller=f"other {number}")
            await settle()
            # The hog has its one long batch and gets no other.
            assert len(executor.held) == 2
            await executor.finish(1)
            assert other.done()
        assert not any(future.done() for future in hog)
        await run_all(executor)
        await asyncio.gather(*hog)
    assert [batch[0][0] for batch in machine.batches] == [2, 2, 2, 1, 1, 1, 1, 1]


async def test_long_batches_of_one_caller_wait_for_each_other() -> None:
    machine = Machine()
    async with lending_queue(machine, batches=2) as (queue, executor):
        futures = [queue.submit((1, i), GREEDY, caller="only") for i in range(6)]
        await settle()
        assert len(executor.held) == 2
        await run_all(executor)
        await asyncio.gather(*futures)
    assert len(machine.batches) == 6


async def test_a_queue_with_blocked_callers_only_goes_on_when_their_batch_ends() -> None:
    machine = Machine()
    async with lending_queue(machine) as (queue, executor):
        hog = [queue.submit((1, i), GREEDY, caller="hog") for i in range(3)]
        await settle()
        other = queue.submit((2,), GREEDY, caller="other")
        await settle()
        await executor.finish(1)
        assert other.done()
        assert len(executor.held) == 1
        for _ in range(3):
            await executor.finish()
        assert all(future.done() for future in hog)


@pytest.fixture
def team() -> Iterator[StickyThreadPool]:
    team = StickyThreadPool(1, "worker")
    yield team
    team.shutdown()


def hold(team: StickyThreadPool, release: threading.Event) -> Future[Any]:
    """Runs work that lasts until `release` is set, and returns once it has begun."""
    begun = threading.Event()

    def work() -> int:
        begun.set()
        release.wait()
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    future = team.submit(work)
    begun.wait()
    return future


def test_a_replaced_thread_ends_its_work_with_the_lowest_priority(team: StickyThreadPool) -> None:
    release = threading.Event()
    long = hold(team, release)
    assert team.replace_thread(long)
    assert not team.replace_thread(long)
    niceness = team.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result(60)
    release.set()
    if sys.platform == "linux":
        assert long.result(60) == 19
        assert niceness == min(19, os.getpriority(os.PRIO_PROCESS, os.getpid()) + 10)


def test_work_that_has_ended_replaces_no_thread(team: StickyThreadPool) -> None:
    done = team.submit(threading.get_ident)
    done.result(60)
    team.shutdown(wait=True)
    assert not team.replace_thread(done)


def test_replaced_threads_are_bounded(team: StickyThreadPool) -> None:
    release = threading.Event()
    replaced = [team.replace_thread(hold(team, release)) for _ in range(9)]
    assert replaced == [True] * 8 + [False]
    release.set()
