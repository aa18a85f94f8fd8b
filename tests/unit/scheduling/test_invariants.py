"""Property tests of the queue: every piece is answered exactly once, and all rules hold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.core.decoding import TokenIds
from latimer_server.core.errors import DeadlineExceeded, Overloaded
from latimer_server.scheduling import BatchQueue, Priority, TimedHypothesis
from tests.unit.scheduling.machines import GREEDY, Machine, held_queue, run_all, settle

ROWS, TOKENS, POISON = 5, 60, 12


@dataclass(frozen=True)
class Arrival:
    """A submitted piece and the events after it. `gone`: it is cancelled. `finish`: the number of batches that end."""

    length: int
    kind: int
    priority: Priority
    seconds: float | None
    caller: int
    request: int
    gone: bool
    finish: int


def submit(queue: BatchQueue, one: Arrival, now: float) -> asyncio.Future[TimedHypothesis]:
    return queue.submit(
        (one.kind,) * one.length,
        GREEDY,
        priority=one.priority,
        deadline=None if one.seconds is None else now + one.seconds,
        caller=one.caller,
        request=one.request,
    )


ARRIVALS = st.builds(
    Arrival,
    length=st.integers(1, 50),
    kind=st.integers(0, 12),  # few kinds, so that some pieces are identical
    priority=st.sampled_from(Priority),
    seconds=st.sampled_from([None, -1.0, 0.5, 3.0, 100.0]),
    caller=st.integers(0, 3),
    request=st.integers(0, 2),
    gone=st.booleans(),
    finish=st.integers(0, 2),
)


def check_result(one: Arrival, result: TimedHypothesis | BaseException) -> None:
    if isinstance(result, DeadlineExceeded):
        assert one.seconds is not None
    elif one.gone:
        assert isinstance(result, asyncio.CancelledError)
    elif one.kind == POISON:
        assert isinstance(result, RuntimeError)
    else:
        assert isinstance(result, TimedHypothesis)
        assert result.hypothesis.ids == (one.kind,) * one.length
        assert result.queued <= result.started <= result.ended
        assert one.seconds is None or result.ended - result.queued <= one.seconds


def check_batch(batch: list[TokenIds]) -> None:
    assert len(batch) <= ROWS
    assert len(batch) == 1 or max(map(len, batch)) * len(batch) <= TOKENS
    assert len(set(batch)) == len(batch)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.booleans(), st.lists(ARRIVALS, max_size=50))
def test_every_piece_is_answered_once_and_no_batch_exceeds_its_budget(
    batches: int,
    cores: int,
    preempts: bool,
    arrivals: list[Arrival],
) -> None:
    async def play() -> None:
        machine = Machine(seconds=lambda batch: 0.1 * len(batch), fail_on=lambda ids: ids[0] == POISON)
        answered: list[asyncio.Future[TimedHypothesis]] = []
        opened = held_queue(machine, batches=batches, cores=cores, rows=ROWS, tokens=TOKENS, preempts=preempts)
        async with opened as (queue, executor):
            futures = []
            for one in arrivals:
                future = submit(queue, one, machine.now)
                future.add_done_callback(answered.append)
                futures.append(future)
                if one.gone:
                    future.cancel()
                await settle()
                assert len(executor.held) <= min(batches, cores)
                for _ in range(min(one.finish, len(executor.held))):
                    await executor.finish()
            await run_all(executor)
            results = await asyncio.gather(*futures, return_exceptions=True)
            assert queue.waiting == 0
            assert all(not queued._buckets and queued.tokens == 0 for queued in queue._by_priority.values())
        assert sorted(map(id, answered)) == sorted(map(id, futures))
        for one, result in zip(arrivals, results, strict=True):
            check_result(one, result)
        for batch in machine.batches:
            check_batch(batch)

    asyncio.run(play())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20), st.booleans()), min_size=1, max_size=60))
def test_no_caller_has_a_second_turn_while_another_waits_for_its_first(pieces: list[tuple[int, int, bool]]) -> None:
    async def play() -> None:
        machine = Machine()
        async with held_queue(machine, rows=1) as (queue, executor):
            blocker = queue.submit((99,), GREEDY)
            await settle()
            futures = [
                queue.submit((caller, index), GREEDY, caller=caller) for index, (caller, _, _) in enumerate(pieces)
            ]
            await settle()
            while executor.held:
                await executor.finish()
            await asyncio.gather(blocker, *futures)
        order = [batch[0][0] for batch in machine.batches[1:]]
        left = {caller: order.count(caller) for caller in order}
        since: dict[int, set[int]] = {}  # callers with a turn since the last turn of each caller
        for caller in order:
            waiting = {other for other, count in left.items() if count and other != caller}
            assert caller not in since or waiting <= since[caller]
            for seen in since.values():
                seen.add(caller)
            since[caller] = {caller}
            left[caller] -= 1

    asyncio.run(play())


async def test_no_state_remains_of_a_thousand_cancelled_callers() -> None:
    machine = Machine()
    async with held_queue(machine) as (queue, executor):
        blocker = queue.submit((1,), GREEDY, caller="stays")
        await settle()
        for caller in range(1_000):
            futures = [queue.submit((caller, i), GREEDY, caller=caller, request=i) for i in range(20)]
            for future in futures:
                future.cancel()
            if caller % 100 == 0:
                await settle()
        await settle()
        queued = queue._by_priority[Priority.INTERACTIVE]
        assert (queue.waiting, queued.tokens, len(queued._buckets), queued._fair_order.count_ahead(None)[0]) == (
            0,
            0,
            0,
            0,
        )
        await executor.finish()
        await blocker
    assert machine.batches == [[(1,)]]


async def test_accepted_pieces_are_in_time_under_twice_the_peak_load() -> None:
    """A machine that computes eight pieces a second is offered sixteen, for a thousand seconds."""
    machine = Machine(seconds=lambda batch: 0.4 + 0.075 * len(batch))
    done, late, refused = 0, 0, 0
    async with held_queue(machine, rows=8) as (queue, executor):
        pending: list[asyncio.Future[TimedHypothesis]] = []
        due = 0.0
        number = 0
        while machine.now < 1_000:
            while due <= machine.now:
                number += 1
                due += 1 / 16
                try:
                    queue.require_deadline_met(due + 5.0, Priority.INTERACTIVE, number)
                except Overloaded:
                    refused += 1
                    continue
                future = queue.submit((number, *[0] * (3 + number % 9)), GREEDY, deadline=due + 5.0, caller=number)
                pending.append(future)
            await settle()
            if executor.held:
                await executor.finish()
            else:
                machine.now = due
            for future in [future for future in pending if future.done()]:
                pending.remove(future)
                if isinstance(future.exception(), DeadlineExceeded):
                    late += 1
                else:
                    done += 1
        for future in pending:
            future.cancel()
    import collections

    print(collections.Counter(map(len, machine.batches)), done, late, refused, number)
    assert late <= 0.01 * (done + late)
    assert done >= 0.9 * 8 * 1_000
    assert refused > 0.4 * number
