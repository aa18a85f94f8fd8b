"""Preemption: interactive batches run between two steps of a bulk batch, in its thread and with its permits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.poll_time import Cancellation
from latimer_server.scheduling import (
    BatchQueue,
    ComputeSlot,
    CorePermits,
    PreemptibleBatch,
    PreemptibleBatches,
    Priority,
)
from latimer_server.scheduling.batch_run import BatchRun
from latimer_server.scheduling.compute_watch import ComputeWatch
from latimer_server.scheduling.work_items import Batch, PieceWaiter, WorkItem
from tests.unit.scheduling.machines import GREEDY, HeldExecutor, Machine, settle

STEPS = 3


class Stepping(Machine):
    """A backend of `STEPS` steps of `seconds` each. `events`: the beginnings and ends of batches by the first token of
    their first pieces. `on_step`: called before each poll with that token."""

    def __init__(self, on_step: Callable[[int], None] = lambda _: None, seconds: float = 0.0) -> None:
        super().__init__()
        self.events: list[str] = []
        self.polls: list[int | None] = []
        self._on_step = on_step
        self._step_seconds = seconds

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        name = batch[0][0]
        self.events.append(f"begin {name}")
        for _ in range(STEPS):
            self.now += self._step_seconds
            self._on_step(name)
            assert isinstance(cancelled, Cancellation)
            self.polls.append(cancelled.time.nanoseconds)
            if cancelled():
                break
        self.events.append(f"end {name}")
        return super().run(batch, options, cancelled)


def make_slot(
    permits: CorePermits,
    executor: HeldExecutor,
    preemptible: PreemptibleBatches,
    *,
    batches: int = 1,
    lend_seconds: float = 60.0,
    delegates: bool = False,
) -> ComputeSlot:
    return ComputeSlot(
        permits,
        executor,
        batches=batches,
        replace_thread=lambda _: True,
        lend_seconds=lend_seconds,
        preemptible=preemptible,
        delegates=delegates,
    )


@asynccontextmanager
async def preempting_queue(
    machine: Machine, *, cores: int = 1, rows: int = 1, lend_seconds: float = 60.0, delegates: bool = False
) -> AsyncIterator[tuple[BatchQueue, HeldExecutor]]:
    executor = HeldExecutor()
    slot = make_slot(
        CorePermits(cores),
        executor,
        PreemptibleBatches(),
        batches=cores,
        lend_seconds=lend_seconds,
        delegates=delegates,
    )
    queue = BatchQueue(machine.run, BatchLimits(50, 1_000, rows), slot, lambda: machine.now)
    yield queue, executor
    await queue.close()


async def test_a_sentence_runs_between_two_steps_of_a_bulk_batch() -> None:
    machine = Stepping()
    async with preempting_queue(machine) as (queue, executor):
        bulk = queue.submit((1,), GREEDY, priority=Priority.BULK)
        await settle()
        urgent = queue.submit((2,), GREEDY)
        await settle()
        # It needs no thread of its own.
        assert len(executor.held) == 1
        await executor.finish()
        assert machine.events == ["begin 1", "begin 2", "end 2", "end 1"]
        assert (await urgent).hypothesis.ids == (2,)
        assert (await bulk).hypothesis.ids == (1,)


async def test_a_batch_polls_in_its_next_step_once_a_sentence_waits() -> None:
    machine = Stepping()
    async with preempting_queue(machine) as (queue, executor):
        queue.submit((1,), GREEDY, priority=Priority.BULK)
        await settle()
        queue.submit((2,), GREEDY)
        await settle()
        await executor.finish()
    assert machine.polls == [0, None, None, None, None, None]


async def test_a_sentence_that_comes_after_the_last_step_runs_at_the_end_of_the_batch() -> None:
    machine = Machine()  # polls never
    async with preempting_queue(machine) as (queue, executor):
        bulk = [queue.submit((1, i), GREEDY, priority=Priority.BULK) for i in range(2)]
        await settle()
        urgent = queue.submit((2,), GREEDY)
        await settle()
        await executor.finish()
        assert urgent.done()
        await executor.finish()
        await asyncio.gather(*bulk)
    assert machine.batches == [[(1, 0)], [(2,)], [(1, 1)]]


async def test_a_sentence_takes_a_free_core_instead() -> None:
    machine = Stepping()
    async with preempting_queue(machine, cores=2) as (queue, executor):
        bulk = queue.submit((1,), GREEDY, priority=Priority.BULK)
        await settle()
        urgent = queue.submit((2,), GREEDY)
        await settle()
        assert len(executor.held) == 2
        await executor.finish(1)
        assert urgent.done()
        await executor.finish()
        await bulk


async def test_a_text_of_several_sentences_preempts_the_batches_of_all_cores() -> None:
    machine = Stepping()
    async with preempting_queue(machine, cores=2, rows=8) as (queue, executor):
        bulk = [queue.submit((1, i), GREEDY, priority=Priority.BULK) for i in range(16)]
        await settle()
        assert len(executor.held) == 2
        urgent = [queue.submit((2, i), GREEDY) for i in range(8)]
        await settle()
        await executor.finish()
        assert sum(future.done() for future in urgent) == 4
        await executor.finish()
        await asyncio.gather(*urgent, *bulk)
    assert sorted(map(len, machine.batches)) == [4, 4, 8, 8]


async def test_a_batch_takes_one_sentence_at_a_time() -> None:
    machine = Stepping()
    async with preempting_queue(machine) as (queue, executor):
        bulk = queue.submit((1,), GREEDY, priority=Priority.BULK)
        await settle()
        urgent = [queue.submit((2, i), GREEDY) for i in range(2)]
        await settle()
        await executor.finish()
        # The event loop, which hands sentences over, did not run between the steps.
        assert [future.done() for future in urgent] == [True, False]
        await executor.finish()
        await asyncio.gather(*urgent, bulk)


async def test_an_interactive_batch_is_not_preempted() -> None:
    machine = Stepping()
    async with preempting_queue(machine) as (queue, executor):
        futures = [queue.submit((number,), GREEDY) for number in range(2)]
        await settle()
        await executor.finish()
        await executor.finish()
        await asyncio.gather(*futures)
    assert machine.events == ["begin 0", "end 0", "begin 1", "end 1"]


async def test_bulk_keeps_its_share_of_turns_and_such_a_batch_is_not_preempted() -> None:
    machine = Stepping()
    async with preempting_queue(machine) as (queue, executor):
        futures = [queue.submit((2, i), GREEDY, caller=f"caller {i}") for i in range(12)]
        futures += [queue.submit((1, i), GREEDY, priority=Priority.BULK, caller="bulk") for i in range(2)]
        await settle()
        while not all(future.done() for future in futures):
            assert len(executor.held) == 1
            await executor.finish()
    begun = [event for event in machine.events if event.startswith("begin")]
    assert begun.index("begin 1") == 7
    assert machine.events[14:16] == ["begin 1", "end 1"]


async def test_an_interactive_batch_of_another_model_preempts_a_bulk_batch() -> None:
    machine, executor, permits, preemptible = Stepping(), HeldExecutor(), CorePermits(1), PreemptibleBatches()
    first, second = (
        BatchQueue(machine.run, BatchLimits(50, 1_000, 1), make_slot(permits, executor, preemptible), lambda: 0.0)
        for _ in range(2)
    )
    bulk = first.submit((1,), GREEDY, priority=Priority.BULK)
    await settle()
    urgent = second.submit((2,), GREEDY)
    await settle()
    await executor.finish()
    await asyncio.gather(urgent, bulk)
    assert machine.events == ["begin 1", "begin 2", "end 2", "end 1"]
    await first.close()
    await second.close()


async def test_short_work_without_a_queue_preempts_a_bulk_batch() -> None:
    machine, executor, permits, preemptible = Stepping(), HeldExecutor(), CorePermits(1), PreemptibleBatches()
    slots = [make_slot(permits, executor, preemptible) for _ in range(2)]
    queue = BatchQueue(machine.run, BatchLimits(50, 1_000, 1), slots[0], lambda: 0.0)
    bulk = queue.submit((1,), GREEDY, priority=Priority.BULK)
    await settle()
    ranking = asyncio.create_task(slots[1].run(lambda: lambda: machine.events.append("ranking")))
    await settle()
    await executor.finish()
    await asyncio.gather(ranking, bulk)
    assert machine.events == ["begin 1", "ranking", "end 1"]
    await queue.close()


async def test_bulk_batches_beside_an_interactive_caller_are_as_large_as_alone() -> None:
    machine = Stepping(seconds=1.0)
    async with preempting_queue(machine, rows=8) as (queue, executor):
        bulk = [queue.submit((1, i), GREEDY, priority=Priority.BULK, caller="bulk") for i in range(32)]
        await settle()
        for number in range(4):
            urgent = queue.submit((2, number), GREEDY, caller="person")
            await settle()
            await executor.finish()
            assert urgent.done()
        await asyncio.gather(*bulk)
    assert [len(batch) for batch in machine.batches if batch[0][0] == 1] == [8, 8, 8, 8]


async def test_the_pause_of_a_batch_does_not_count_as_its_time() -> None:
    """Batches are sized, and calls refused, by the times of earlier batches."""
    machine = Stepping(seconds=1.0)
    waiter = PieceWaiter(asyncio.get_running_loop().create_future(), None, 0.0)
    batch = Batch((WorkItem((1,), GREEDY, [waiter]),), priority=Priority.BULK, is_preemptible=True)
    run = BatchRun(batch, machine.run, ComputeWatch(), lambda: machine.now)

    def pause() -> None:
        machine.now += 10.0

    assert run.preemptible is not None
    assert run.preemptible.offer(pause)
    run()
    assert machine.now == 13.0
    assert run.count_seconds(machine.now, preempts=False) == 3.0


async def test_a_batch_of_a_library_with_its_own_threads_is_not_preempted() -> None:
    machine = Stepping()
    async with preempting_queue(machine, delegates=True) as (queue, executor):
        futures = [queue.submit((1,), GREEDY, priority=Priority.BULK)]
        await settle()
        futures.append(queue.submit((2,), GREEDY))
        await settle()
        await executor.finish()
        await executor.finish()
        await asyncio.gather(*futures)
    assert machine.events == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_a_faulty_piece_inside_a_batch_fails_alone() -> None:
    machine = Machine(fail_on=lambda ids: ids[0] == 2)
    async with preempting_queue(machine) as (queue, executor):
        bulk = queue.submit((1,), GREEDY, priority=Priority.BULK)
        await settle()
        urgent = queue.submit((2,), GREEDY)
        await settle()
        await executor.finish()
        with pytest.raises(RuntimeError, match="poison"):
            await urgent
        assert (await bulk).hypothesis.ids == (1,)


async def test_a_long_batch_inside_another_lends_the_permits_of_both() -> None:
    machine = Stepping()
    async with preempting_queue(machine, lend_seconds=0.0) as (queue, executor):
        bulk = queue.submit((1,), GREEDY, priority=Priority.BULK, caller="bulk")
        await settle()
        long = queue.submit((2,), GREEDY, caller="long")
        await settle()
        other = queue.submit((3,), GREEDY, caller="other")
        await settle()
        assert len(executor.held) == 2
        await executor.finish(1)
        assert other.done()
        await executor.finish()
        await asyncio.gather(bulk, long)


async def test_a_queue_can_be_closed_while_its_sentence_waits_inside_a_batch() -> None:
    machine, executor, permits, preemptible = Stepping(), HeldExecutor(), CorePermits(1), PreemptibleBatches()
    slots = [make_slot(permits, executor, preemptible) for _ in range(2)]
    first, second = (BatchQueue(machine.run, BatchLimits(50, 1_000, 1), slot, lambda: 0.0) for slot in slots)
    bulk = first.submit((1,), GREEDY, priority=Priority.BULK)
    await settle()
    second.submit((2,), GREEDY).add_done_callback(lambda future: future.exception())
    await settle()
    await second.close()
    idle = asyncio.create_task(slots[1].wait_until_idle())
    await settle()
    assert not idle.done()
    await executor.finish()
    await asyncio.gather(idle, bulk)
    await first.close()
    await first.close()  # a second time has no effect


async def test_work_that_comes_as_the_batch_ends_waits_for_permits_as_usual() -> None:
    executor, permits, preemptible = HeldExecutor(), CorePermits(1), PreemptibleBatches()
    slot = make_slot(permits, executor, preemptible)
    ended = PreemptibleBatch(lambda: 0.0)
    preemptible.add(ended)
    ended.end()
    taken = slot.take_preemptible()
    assert taken is ended
    running = asyncio.create_task(slot.run(lambda: lambda: "done", preempted=taken))
    await settle()
    assert permits.used == 1
    await executor.finish()
    assert await running == "done"


def test_a_preempted_batch_keeps_an_eighth_of_its_core() -> None:
    now, begun = 0.0, []

    def work() -> None:
        nonlocal now
        begun.append(now)
        now += 0.7

    batch = PreemptibleBatch(lambda: now)
    for _ in range(10):
        assert batch.offer(work)
        while batch.seconds_to_pause < math.inf:
            batch.reach_point()
            now += 0.01  # a step
    assert batch.paused_seconds == pytest.approx(7.0)
    assert 0.85 < 9 * 0.7 / (begun[-1] - begun[0]) <= 0.875


def test_a_batch_without_work_need_not_pause() -> None:
    batch = PreemptibleBatch(lambda: 0.0)
    assert batch.seconds_to_pause == math.inf
    batch.reach_point()
    assert batch.offer(lambda: None)
    assert batch.seconds_to_pause == 0.0
    batch.end()
    assert batch.seconds_to_pause == math.inf
    assert not batch.offer(lambda: None)


async def test_a_batch_that_has_ended_is_not_reserved_again_before_the_loop_hears_of_its_end() -> None:
    preemptible, executor = PreemptibleBatches(), HeldExecutor()
    slot = make_slot(CorePermits(1), executor, preemptible)
    batch = PreemptibleBatch(lambda: 0.0)
    preemptible.add(batch)
    taken = slot.take_preemptible()
    batch.end()
    answer = asyncio.create_task(slot.run(lambda: lambda: "its result", preempted=taken))
    await settle()
    assert slot.take_preemptible() is None
    await executor.finish()
    assert await answer == "its result"
