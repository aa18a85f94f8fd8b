"""Tests of executors: which thread runs a batch, on how many cores, and that no references stay."""

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

from latimer_server.scheduling import ComputeSlot, CorePermits, Executors
from latimer_server.scheduling.sticky_threads import StickyThreadPool
from tests.unit.scheduling.machines import HeldExecutor, settle


@pytest.fixture
async def executors() -> AsyncIterator[Executors]:
    executors = Executors(4)
    yield executors
    executors.close()


async def run_in(slot: ComputeSlot) -> str:
    name = await slot.run(lambda: lambda: threading.current_thread().name)
    assert name is not None
    return name.partition("_")[0]


async def test_a_slot_for_one_batch_uses_one_thread_and_all_cores(executors: Executors) -> None:
    seats = [executors.slot(), executors.slot(1)]
    assert {(slot.cores, slot.batches) for slot in seats} == {(4, 1)}
    threads = [await slot.run(lambda: threading.get_ident) for slot in seats for _ in range(5)]
    assert len(set(threads)) == 1
    assert await run_in(seats[0]) == "batch"


@pytest.mark.parametrize(("batches", "cores", "at_once"), [(4, 1, 4), (2, 2, 2), (3, 1, 3), (9, 1, 4)])
async def test_batches_at_the_same_time_share_the_cores(
    executors: Executors, batches: int, cores: int, at_once: int
) -> None:
    slot = executors.slot(batches)
    assert (slot.cores, slot.batches) == (cores, at_once)
    assert await run_in(slot) == "worker"


async def test_batches_one_after_the_other_run_in_the_same_thread(executors: Executors) -> None:
    slot, release = executors.slot(4), threading.Event()
    first = {await slot.run(lambda: threading.get_ident) for _ in range(20)}
    assert len(first) == 1
    held = asyncio.create_task(slot.run(lambda: release.wait))
    await settle()
    second = {await slot.run(lambda: threading.get_ident) for _ in range(20)}
    assert len(second) == 1
    assert first != second
    release.set()
    await held
    assert await slot.run(lambda: threading.get_ident) in first


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
async def test_threads_of_batches_have_a_lower_priority_than_the_event_loop(executors: Executors) -> None:
    def read_niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = read_niceness()
    for slot in (executors.slot(1), executors.slot(4), executors.single_core_slot()):
        assert await slot.run(lambda: read_niceness) == min(19, own + 10)
    assert read_niceness() == own


def test_work_whose_thread_cannot_start_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    team = StickyThreadPool(2, "worker")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            team.submit(threading.get_ident)
    # The first thread is still free.
    assert team.submit(lambda: threading.current_thread().name).result(10).startswith("worker_0")
    team.shutdown()


async def test_summaries_use_half_of_the_cores_and_a_separate_thread(executors: Executors) -> None:
    slot = executors.slot(4, generation=True)
    assert (slot.cores, slot.batches, executors.count_threads(generation=True)) == (2, 1, 2)
    assert await run_in(slot) == "generation"


async def test_batches_of_two_models_never_use_more_cores_than_there_are() -> None:
    permits, executor = CorePermits(2), HeldExecutor()
    narrow, wide = ComputeSlot(permits, executor, cores=1, batches=2), ComputeSlot(permits, executor, cores=2)
    tasks = [asyncio.create_task(slot.run(lambda: lambda: None)) for slot in (narrow, wide, narrow, narrow)]
    seen = []
    await settle()
    while executor.held:
        seen.append((permits.used, len(executor.held)))
        await executor.finish()
    await asyncio.gather(*tasks)
    assert seen == [(1, 1), (2, 1), (2, 2), (1, 1)]


async def test_permits_are_returned_after_success_failure_and_cancellation(executors: Executors) -> None:
    slot = executors.slot()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await slot.run(lambda: fail)
    with pytest.raises(ValueError, match="no"):
        await slot.run(fail)
    await slot.run(lambda: None)
    assert executors.permits.used == 0


async def test_permits_of_a_cancelled_batch_are_returned_when_it_ends() -> None:
    permits, executor = CorePermits(1), HeldExecutor()
    slot = ComputeSlot(permits, executor)
    task = asyncio.create_task(slot.run(lambda: lambda: 1))
    await settle()
    task.cancel()
    resting = asyncio.create_task(slot.wait_until_idle())
    await settle()
    assert permits.used == 1
    assert not resting.done()
    await executor.finish()
    await resting
    assert permits.used == 0


async def test_a_thread_keeps_no_reference_to_finished_work(executors: Executors) -> None:
    class Weights:
        def run(self, *, fails: bool) -> Weights:
            if fails:
                raise ValueError
            return self

    async def use(*, fails: bool) -> weakref.ref[Weights]:
        weights = Weights()
        with suppress(ValueError):
            await executors.slot().run(lambda: lambda: weights.run(fails=fails))
        return weakref.ref(weights)

    for _ in range(20):
        references = [await use(fails=False), await use(fails=True)]
        gc.collect()
        assert [reference() for reference in references] == [None, None]
