"""Tests of deadlines: late pieces are not computed, hopeless requests are refused, and unneeded batches are aborted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import DeadlineExceeded, Overloaded
from latimer_server.scheduling import BatchQueue, Priority, TimedHypothesis
from tests.unit.scheduling.machines import (
    GREEDY,
    HeldExecutor,
    Machine,
    held_queue,
    outcomes,
    queue_for,
    run_all,
    settle,
)


async def test_a_piece_past_its_deadline_is_not_computed() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        late = queue.submit((1,), GREEDY, deadline=5.0)
        in_time = queue.submit((2,), GREEDY, deadline=15.0)
        machine.now = 10.0
        with pytest.raises(DeadlineExceeded):
            await late
        await in_time
    assert machine.batches == [[(2,)]]


async def test_a_piece_with_a_deadline_in_the_past_is_not_queued() -> None:
    machine = Machine()
    machine.now = 100.0
    async with queue_for(machine) as queue:
        futures = [queue.submit((i,), GREEDY, deadline=99.0) for i in range(1_000)]
        assert queue.waiting == 0
        results = await asyncio.gather(*futures, return_exceptions=True)
    assert {type(result) for result in results} == {DeadlineExceeded}
    assert machine.batches == []


async def learn(queue: BatchQueue, executor: HeldExecutor, *, rows: int, length: int = 10, times: int = 1) -> None:
    """Runs batches from which the queue learns the cost of batches."""
    for number in range(times):
        futures = [queue.submit((7, number, i, *[0] * (length - 3)), GREEDY) for i in range(rows)]
        await run_all(executor)
        await asyncio.gather(*futures)


async def test_a_piece_that_would_be_late_fails_with_deadline_exceeded() -> None:
    machine = Machine(seconds=lambda batch: 1.0)
    async with held_queue(machine, rows=1) as (queue, executor):
        await learn(queue, executor, rows=1)
        first = queue.submit((1,) * 10, GREEDY)
        await settle()
        hopeless = queue.submit((2,) * 10, GREEDY, deadline=machine.now + 1.9)
        in_time = queue.submit((3,) * 10, GREEDY, deadline=machine.now + 3.5)
        other = queue.submit((4,) * 10, GREEDY)
        await run_all(executor)
        results = await asyncio.gather(first, hopeless, in_time, other, return_exceptions=True)
    # The queue was idle at the piece's turn, so it was computed, but its result came after the deadline.
    assert outcomes(results) == [(1,) * 10, DeadlineExceeded, (3,) * 10, (4,) * 10]


async def test_a_piece_that_would_be_late_is_not_computed_beside_other_work() -> None:
    machine = Machine(seconds=lambda batch: 1.0)
    async with held_queue(machine, batches=2, rows=1) as (queue, executor):
        await learn(queue, executor, rows=1)
        running = [queue.submit((1, i, *[0] * 8), GREEDY) for i in range(2)]
        await settle()
        hopeless = queue.submit((2,) * 10, GREEDY, deadline=machine.now + 1.9)
        await executor.finish()
        await executor.finish()
        with pytest.raises(DeadlineExceeded):
            await hopeless
        await asyncio.gather(*running)
    assert [(2,) * 10] not in machine.batches


async def test_a_learnt_slow_pace_is_replaced_by_new_measurements() -> None:
    # Otherwise short deadlines would be refused for ever by a pace that is not measured again.
    cost_model = [60.0]
    machine = Machine(seconds=lambda batch: cost_model[0])
    async with held_queue(machine, rows=1) as (queue, executor):
        await learn(queue, executor, rows=1)
        cost_model[0] = 0.01
        results: list[TimedHypothesis | BaseException] = []
        for number in range(30):
            queue.require_deadline_met(machine.now + 1.0, Priority.INTERACTIVE, "caller")
            future = queue.submit((number,) * 10, GREEDY, deadline=machine.now + 1.0)
            await run_all(executor)
            results += await asyncio.gather(future, return_exceptions=True)
    assert DeadlineExceeded not in outcomes(results)


async def test_a_batch_is_small_enough_for_the_deadline_of_its_first_piece() -> None:
    machine = Machine(seconds=lambda batch: 0.1 * len(batch))
    async with held_queue(machine, rows=16) as (queue, executor):
        for rows in (1, 4, 8, 16):
            await learn(queue, executor, rows=rows)
        blocker = queue.submit((9,) * 10, GREEDY)
        await settle()
        urgent = queue.submit((1,) * 10, GREEDY, deadline=machine.now + 1.0)
        others = [queue.submit((2, i, *[0] * 8), GREEDY) for i in range(40)]
        machine.batches.clear()
        await run_all(executor)
        await asyncio.gather(blocker, urgent, *others)
    assert [len(batch) for batch in machine.batches] == [1, 8, 16, 16, 1]


async def test_late_pieces_do_not_make_batches_tiny() -> None:
    machine = Machine(seconds=lambda batch: 0.1 * len(batch))
    async with held_queue(machine, rows=16) as (queue, executor):
        for rows in (1, 4, 8, 16):
            await learn(queue, executor, rows=rows)
        futures = [queue.submit((2, i, *[0] * 8), GREEDY, deadline=machine.now + 0.25) for i in range(64)]
        machine.batches.clear()
        await run_all(executor)
        await asyncio.gather(*futures, return_exceptions=True)
    assert min(map(len, machine.batches)) >= 4


async def test_a_running_batch_is_cancelled_when_no_piece_needs_it() -> None:
    seen: list[bool] = []

    class Asking(Machine):
        def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
            seen.append(cancelled())
            self.now += 10.0
            seen.append(cancelled())
            return super().run(batch, options, cancelled)

    async with held_queue(Asking()) as (queue, executor):
        gone, late = queue.submit((1,), GREEDY), queue.submit((2,), GREEDY, deadline=5.0)
        await settle()
        gone.cancel()
        await executor.finish()
        with pytest.raises(DeadlineExceeded):  # the result may be incomplete
            await late
        assert seen == [False, True]


async def fill(queue: BatchQueue, executor: HeldExecutor, pieces: int) -> list[asyncio.Future[object]]:
    """Fills a queue that has learnt its pace with `pieces` waiting pieces of different callers."""
    await learn(queue, executor, rows=32, times=3)
    futures = [queue.submit((i, *[0] * 9), GREEDY, caller=i) for i in range(pieces + 8)]
    await settle()
    return futures  # type: ignore[return-value]


async def test_a_request_whose_deadline_the_wait_exceeds_is_refused_at_once() -> None:
    machine = Machine(seconds=lambda batch: 1.0)
    async with held_queue(machine) as (queue, executor):
        futures = await fill(queue, executor, 80)
        wait = queue.estimate_wait(Priority.INTERACTIVE, "new")
        assert 9 <= wait <= 12  # ten batches of eight, and the rest of the running one
        with pytest.raises(Overloaded) as refused:
            queue.require_deadline_met(machine.now + wait, Priority.INTERACTIVE, "new")
        assert refused.value.retry_after == pytest.approx(wait)
        queue.require_deadline_met(machine.now + 4 * wait, Priority.INTERACTIVE, "new")
        queue.require_deadline_met(None, Priority.INTERACTIVE, "new")
        await run_all(executor)
        await asyncio.gather(*futures)
        queue.require_deadline_met(machine.now + 0.001, Priority.INTERACTIVE, "new")  # idle: nothing is refused


async def test_a_new_caller_is_not_refused_because_of_another_callers_document() -> None:
    machine = Machine(seconds=lambda batch: 1.0)
    async with held_queue(machine) as (queue, executor):
        await learn(queue, executor, rows=32, times=3)
        futures = [queue.submit((i, *[0] * 9), GREEDY, caller="document") for i in range(1_000)]
        await settle()
        queue.require_deadline_met(machine.now + 6.0, Priority.INTERACTIVE, "new")
        with pytest.raises(Overloaded):
            queue.require_deadline_met(machine.now + 6.0, Priority.BULK, "new")
        for future in futures:
            future.cancel()


async def test_waiting_bulk_pieces_do_not_delay_interactive_pieces() -> None:
    machine = Machine(seconds=lambda batch: 1.0)
    async with held_queue(machine) as (queue, executor):
        await learn(queue, executor, rows=32, times=3)
        futures = [queue.submit((i, *[0] * 9), GREEDY, caller=i, priority=Priority.BULK) for i in range(1_000)]
        await settle()
        queue.require_deadline_met(machine.now + 4.0, Priority.INTERACTIVE, "new")
        for future in futures:
            future.cancel()
