"""Tests of batches: their pieces, identical pieces, and cancelled or failing pieces."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace

import pytest

from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import Unavailable
from latimer_server.scheduling import BatchQueue, TimedHypothesis
from tests.unit.scheduling.machines import GREEDY, Machine, held_queue, queue_for, run_all, settle


async def test_pieces_of_similar_length_share_a_batch_within_the_budget_of_padded_tokens() -> None:
    machine = Machine()
    async with queue_for(machine, rows=3, tokens=30) as queue:
        futures = [queue.submit((i,) * length, GREEDY) for i, length in enumerate((5, 25, 6, 24, 7, 5))]
        await asyncio.gather(*futures)
    sizes = [sorted(map(len, batch)) for batch in machine.batches]
    assert sizes == [[5, 5, 6], [25], [24], [7]]


async def test_each_piece_gets_its_own_hypothesis() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        pieces = [(i,) * (1 + i % 7) for i in range(40)]
        outcomes = await asyncio.gather(*(queue.submit(ids, GREEDY) for ids in pieces))
    assert [outcome.hypothesis.ids for outcome in outcomes] == pieces


async def test_pieces_with_other_options_never_share_a_batch() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        await asyncio.gather(
            queue.submit((1,), GREEDY),
            queue.submit((2,), DecodingOptions(max_output_tokens=3)),
            queue.submit((3,), GREEDY),
            queue.submit((4,), replace(GREEDY, whole_vocabulary=True)),
        )
    assert machine.batches == [[(1,), (3,)], [(2,)], [(4,)]]


async def test_a_cancelled_piece_is_dropped() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        gone, stays = queue.submit((1,), GREEDY), queue.submit((2,), GREEDY)
        gone.cancel()
        await stays
    assert machine.batches == [[(2,)]]


async def test_a_piece_that_fails_its_batch_fails_alone() -> None:
    machine = Machine(fail_on=lambda ids: ids == (13,))
    async with queue_for(machine) as queue:
        futures = [queue.submit((i,), GREEDY) for i in (11, 12, 13, 14)]
        results = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(result, RuntimeError) for result in results] == [False, False, True, False]


async def test_a_backend_that_returns_too_few_rows_fails_the_batch() -> None:
    class Lossy(Machine):
        def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
            return super().run(batch, options, cancelled)[1:]

    async with queue_for(Lossy()) as queue:
        results = await asyncio.gather(*(queue.submit((i,), GREEDY) for i in range(3)), return_exceptions=True)
    assert all(isinstance(result, RuntimeError) for result in results)


async def test_closing_answers_waiting_pieces() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        waiting = queue.submit((1,), GREEDY)
        await queue.close()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            queue.submit((2,), GREEDY)


async def test_cancelled_pieces_are_freed_even_if_no_batch_takes_their_length() -> None:
    machine = Machine()
    async with queue_for(machine, rows=1) as queue:
        gone = [weakref.ref(_withdraw(queue, 40)) for _ in range(3_000)]
        live = [queue.submit((1,), GREEDY) for _ in range(20)]
        await live[5]
        gc.collect()
        assert sum(reference() is not None for reference in gone) <= 1_100
        await asyncio.gather(*live)


def _withdraw(queue: BatchQueue, length: int) -> asyncio.Future[TimedHypothesis]:
    future = queue.submit((7,) * length, GREEDY)
    future.cancel()
    return future


async def test_the_queue_continues_after_a_backend_panics() -> None:
    class Panic(BaseException):
        """Like the panic of a Rust library: not an Exception."""

    class Panicking(Machine):
        def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
            if (13,) in batch:
                raise Panic
            return super().run(batch, options, cancelled)

    async with queue_for(Panicking()) as queue:
        results = await asyncio.gather(*(queue.submit((i,), GREEDY) for i in (12, 13, 14)), return_exceptions=True)
        assert [isinstance(result, RuntimeError) for result in results] == [False, True, False]
        await queue.submit((15,), GREEDY)


async def test_twenty_thousand_pieces_fill_whole_batches() -> None:
    machine = Machine()
    async with queue_for(machine, rows=1_000, tokens=1_000_000) as queue:
        futures = [queue.submit((i,) * (i % 40 + 1), GREEDY, caller=i % 7) for i in range(20_000)]
        await asyncio.gather(*futures)
    assert sum(map(len, machine.batches)) == 20_000
    assert len(machine.batches) <= 30


async def test_a_short_piece_does_not_share_a_batch_with_a_much_longer_one() -> None:
    machine = Machine()
    async with queue_for(machine, rows=8, tokens=400) as queue:
        await asyncio.gather(*(queue.submit((i,) * length, GREEDY) for i, length in enumerate((3, 50, 14, 15))))
    assert [[len(ids) for ids in batch] for batch in machine.batches] == [[3, 14], [50], [15]]


async def test_identical_waiting_pieces_are_computed_once() -> None:
    machine = Machine()
    async with held_queue(machine) as (queue, executor):
        first = queue.submit((9,), GREEDY)
        await settle()  # starts a batch of its own
        twins = [queue.submit((1, 2), GREEDY, caller=caller) for caller in "abca"]
        other = queue.submit((1, 2), DecodingOptions(beam_size=4))
        await run_all(executor)
        results = await asyncio.gather(first, *twins, other)
    assert machine.batches == [[(9,)], [(1, 2)], [(1, 2)]]
    assert [result.hypothesis.ids for result in results[1:]] == [(1, 2)] * 5


async def test_an_identical_piece_is_computed_if_the_first_one_is_cancelled() -> None:
    machine = Machine()
    async with held_queue(machine) as (queue, executor):
        first, second = queue.submit((1,), GREEDY), queue.submit((1,), GREEDY)
        first.cancel()
        await run_all(executor)
        assert (await second).hypothesis.ids == (1,)
    assert machine.batches == [[(1,)]]


async def test_a_running_piece_is_not_shared_with_later_identical_pieces() -> None:
    # The running batch may be aborted when all pieces that it started with are cancelled.
    machine = Machine()
    async with held_queue(machine) as (queue, executor):
        first = queue.submit((1,), GREEDY)
        await settle()
        second = queue.submit((1,), GREEDY)
        first.cancel()
        await run_all(executor)
        assert (await second).hypothesis.ids == (1,)
    assert machine.batches == [[(1,)], [(1,)]]


async def test_identical_pieces_are_counted_once_until_the_last_is_cancelled() -> None:
    async with held_queue(Machine()) as (queue, _):
        blocker = queue.submit((9,), GREEDY)
        await settle()
        twins = [queue.submit((1,), GREEDY) for _ in range(3)]
        assert queue.waiting == 1
        for twin in twins:
            twin.cancel()
            await settle()
        assert queue.waiting == 0
        blocker.cancel()


async def test_a_single_request_is_divided_among_the_workers() -> None:
    machine = Machine()
    async with held_queue(machine, batches=2, rows=32) as (queue, executor):
        futures = [queue.submit((i, 0), GREEDY) for i in range(32)]
        await settle()
        assert len(executor.held) == 2
        await run_all(executor)
        await asyncio.gather(*futures)
    assert [len(batch) for batch in machine.batches] == [16, 16]


async def test_a_worker_leaves_no_more_pieces_than_the_other_workers_take() -> None:
    # Half of the tokens would be 5 long pieces. Then 3 of the other 11 pieces would form a batch beside an idle worker.
    machine = Machine()
    async with held_queue(machine, batches=2, rows=8) as (queue, executor):
        futures = [queue.submit((i,) * length, GREEDY) for i, length in enumerate((14,) * 8 + (6,) * 8)]
        await run_all(executor)
        await asyncio.gather(*futures)
    assert [len(batch) for batch in machine.batches] == [8, 8]


async def test_the_only_free_worker_takes_a_full_batch() -> None:
    machine = Machine()
    async with held_queue(machine, batches=2, rows=32) as (queue, executor):
        first = [queue.submit((i, 0), GREEDY) for i in range(2)]
        await settle()
        assert len(executor.held) == 2  # both workers are busy
        second = [queue.submit((i, 1), GREEDY) for i in range(32)]
        await executor.finish()
        await run_all(executor)
        await asyncio.gather(*first, *second)
    assert [len(batch) for batch in machine.batches] == [1, 1, 32]


async def test_a_worker_without_a_free_core_gets_no_part_of_a_request() -> None:
    machine = Machine()
    async with held_queue(machine, batches=2, cores=1, rows=32) as (queue, executor):
        futures = [queue.submit((i, 0), GREEDY) for i in range(8)]
        await run_all(executor)
        await asyncio.gather(*futures)
    assert [len(batch) for batch in machine.batches] == [8]


async def test_an_idle_queue_starts_at_once() -> None:
    async with held_queue(Machine()) as (queue, executor):
        future = queue.submit((1,), GREEDY)
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(executor.held) == 1
        await executor.finish()
        await future


async def test_no_piece_waits_after_a_batch_failed_and_the_queue_closed() -> None:
    machine = Machine(fail_on=lambda ids: ids == (2,))
    async with held_queue(machine) as (queue, executor):
        futures = [queue.submit((i,), GREEDY) for i in range(4)]
        await settle()
        await executor.finish()  # the batch fails; its pieces are computed one by one
        await executor.finish()
        await queue.close()
        results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [TimedHypothesis, Unavailable, Unavailable, Unavailable]


@pytest.mark.parametrize(("other", "rows"), [(None, 8), ("other", 1)])
async def test_batches_are_short_while_several_callers_use_a_queue(other: str | None, rows: int) -> None:
    machine = Machine(seconds=lambda batch: 0.1 * len(batch))
    async with held_queue(machine) as (queue, executor):
        for number in range(8):  # learns the seconds of a batch
            learned = [queue.submit((number, i), GREEDY, caller="bulk") for i in range(number + 1)]
            await run_all(executor)
            await asyncio.gather(*learned)
        if other:
            sentence = queue.submit((99, 99), GREEDY, caller=other)
            await run_all(executor)
            await sentence
        machine.batches.clear()
        bulk = [queue.submit((100, i), GREEDY, caller="bulk") for i in range(32)]
        await run_all(executor)
        await asyncio.gather(*bulk)
    assert max(map(len, machine.batches)) == rows


async def test_a_turn_is_one_batch_if_batches_must_be_short() -> None:
    machine = Machine(seconds=lambda batch: 0.1 * len(batch))
    async with held_queue(machine) as (queue, executor):
        learned = [queue.submit((0, i), GREEDY, caller="bulk") for i in range(8)]
        await run_all(executor)
        await asyncio.gather(*learned, queue.submit((99, 99), GREEDY, caller="other"), run_all(executor))
        machine.batches.clear()
        bulk = [queue.submit((100, i), GREEDY, caller="bulk") for i in range(32)]
        await settle()
        sentence = queue.submit((*[1] * 40,), GREEDY, caller="other")  # too long to join a batch of bulk pieces
        await run_all(executor)
        await asyncio.gather(sentence, *bulk)
    assert machine.batches.index([(1,) * 40]) <= 2
