"""Tests of the order of turns: of priorities, of callers, and of the requests of one caller."""

from __future__ import annotations

import asyncio

from latimer_server.core.decoding import DecodingOptions
from latimer_server.scheduling import Priority
from latimer_server.scheduling.priority import BULK_EVERY
from latimer_server.scheduling.turn_lanes import OLD_EVERY
from tests.unit.scheduling.machines import GREEDY, Machine, held_queue, queue_for, run_all, settle


async def test_interactive_pieces_overtake_earlier_bulk_pieces() -> None:
    machine = Machine()
    async with queue_for(machine, rows=1) as queue:
        bulk = queue.submit((1,), GREEDY, priority=Priority.BULK)
        later_bulk = queue.submit((2,), GREEDY, priority=Priority.BULK)
        interactive = queue.submit((3,), GREEDY)
        await asyncio.gather(bulk, later_bulk, interactive)
    assert machine.batches == [[(3,)], [(1,)], [(2,)]]


async def test_a_caller_with_new_options_in_each_request_does_not_starve_others() -> None:
    machine = Machine()
    async with queue_for(machine, rows=1) as queue:
        plain = [queue.submit((1,), GREEDY) for _ in range(5)]

        async def bring(number: int) -> None:
            for step in range(20):
                await queue.submit((9,), DecodingOptions(max_output_tokens=100 * number + step + 1))

        others = [asyncio.create_task(bring(number)) for number in range(3)]
        await asyncio.gather(*plain)
        done = sum(batch == [(9,)] for batch in machine.batches)
        await asyncio.gather(*others)
    assert done <= 20


async def test_a_caller_with_one_piece_waits_for_one_batch_of_a_caller_with_many() -> None:
    machine = Machine()
    async with queue_for(machine, rows=4) as queue:
        many = [queue.submit((i,) * 5, GREEDY, caller="many") for i in range(100)]
        one = queue.submit((1,) * 40, GREEDY, caller="one")
        await asyncio.gather(one, *many)
    assert 40 in [len(batch[0]) for batch in machine.batches[:2]]


async def test_bulk_has_one_batch_in_eight_while_both_wait() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        bulk = [queue.submit((1, i), GREEDY, priority=Priority.BULK) for i in range(3)]
        interactive = [queue.submit((0, i), GREEDY) for i in range(40)]
        await run_all(executor)
        await asyncio.gather(*bulk, *interactive)
    order = [batch[0][0] for batch in machine.batches]
    assert [at for at, kind in enumerate(order) if kind == 1] == [
        BULK_EVERY - 1, 2 * BULK_EVERY - 1, 3 * BULK_EVERY - 1,
    ]  # fmt: skip


async def test_a_new_caller_comes_before_all_that_had_a_turn() -> None:
    machine = Machine()
    async with held_queue(machine, rows=2) as (queue, executor):
        futures = [queue.submit((caller, i), GREEDY, caller=caller) for caller in range(50) for i in range(20)]
        await settle()
        for _ in range(300):
            await executor.finish()
        newcomer = queue.submit((99,) * 40, GREEDY, caller="new")
        for _ in range(4):
            await executor.finish()
        assert newcomer.done()
        await run_all(executor)
        await asyncio.gather(*futures)


async def test_a_new_caller_with_few_pieces_comes_before_new_callers_with_many() -> None:
    machine = Machine()
    async with held_queue(machine, rows=2) as (queue, executor):
        futures = [queue.submit((caller, i), GREEDY, caller=caller) for caller in range(50) for i in range(20)]
        newcomer = queue.submit((99,) * 40, GREEDY, caller="new")
        await settle()
        for _ in range(2):
            await executor.finish()
        assert newcomer.done()
        await run_all(executor)
        await asyncio.gather(*futures)


async def test_a_stream_of_new_callers_leaves_one_turn_in_eight_to_the_others() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        futures = [queue.submit((0, i), GREEDY, caller="old") for i in range(4)]
        await settle()
        futures += [queue.submit((1, i), GREEDY, caller=i) for i in range(40)]
        await run_all(executor)
        await asyncio.gather(*futures)
    order = [batch[0][0] for batch in machine.batches]
    assert [at for at, kind in enumerate(order) if kind == 0] == [
        0,
        OLD_EVERY - 1,
        2 * OLD_EVERY - 1,
        3 * OLD_EVERY - 1,
    ]


async def test_a_caller_whose_pieces_are_done_is_not_new_at_once() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        others = [queue.submit((caller, i), GREEDY, caller=caller) for caller in (1, 2) for i in range(2)]
        first = queue.submit((3, 0), GREEDY, caller=3)
        await settle()
        await executor.finish()
        assert first.done()
        again = queue.submit((3, 1), GREEDY, caller=3, request="another")
        await run_all(executor)
        await asyncio.gather(again, *others)
    assert [batch[0][0] for batch in machine.batches] == [3, 1, 2, 3, 1, 2]


async def test_equal_requests_of_one_caller_are_done_one_after_another() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        futures = [
            queue.submit((request, i), GREEDY, caller="a", request=request) for request in range(3) for i in range(3)
        ]
        await run_all(executor)
        await asyncio.gather(*futures)
    assert [batch[0][0] for batch in machine.batches] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_short_requests_of_one_caller_leave_one_of_its_turns_in_four_to_the_oldest() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        futures = [queue.submit((0, i), GREEDY, caller="a", request="book") for i in range(9)]
        futures += [queue.submit((1, i), GREEDY, caller="a", request=i) for i in range(9)]
        await run_all(executor)
        await asyncio.gather(*futures)
    order = [batch[0][0] for batch in machine.batches]
    assert order[:9] == [1, 1, 1, 0, 1, 1, 1, 0, 1]


async def test_requests_without_a_caller_count_as_separate_callers() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        futures = [queue.submit((1, i), GREEDY, request="one") for i in range(3)]
        futures += [queue.submit((2, i), GREEDY, request="two") for i in range(3)]
        await run_all(executor)
        await asyncio.gather(*futures)
    assert [batch[0][0] for batch in machine.batches] == [1, 2, 1, 2, 1, 2]


async def test_an_identical_piece_runs_at_the_earliest_turn_of_its_callers() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        many = [queue.submit((i,), GREEDY, caller="many") for i in range(50)]
        one = queue.submit((40,), GREEDY, caller="one")
        await run_all(executor)
        await asyncio.gather(one, *many)
    assert machine.batches.index([(40,)]) == 0
    assert len(machine.batches) == 50


async def test_callers_with_other_options_take_turns_too() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        futures = [queue.submit((1, i), DecodingOptions(beam_size=2), caller="beams") for i in range(6)]
        futures += [queue.submit((2 + i % 3, i), GREEDY, caller=i % 3) for i in range(6)]
        await run_all(executor)
        await asyncio.gather(*futures)
    assert [batch[0][0] for batch in machine.batches[:8]] == [2, 3, 4, 1, 2, 3, 4, 1]


async def test_a_caller_with_many_requests_has_one_turn_among_callers() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        flood = [queue.submit((1, i), GREEDY, caller="flood", request=i) for i in range(200)]
        polite = [queue.submit((2, i), GREEDY, caller="polite", request=i) for i in range(5)]
        await run_all(executor)
        await asyncio.gather(*flood, *polite)
    assert max(at for at, batch in enumerate(machine.batches) if batch[0][0] == 2) == 8


async def test_a_request_of_a_few_pieces_is_done_in_one_turn() -> None:
    machine = Machine()
    async with held_queue(machine, rows=4) as (queue, executor):
        blocker = queue.submit((9, 9), GREEDY)
        await settle()
        # The lengths differ so much that no two pieces share a batch.
        futures = [
            queue.submit((request, *[0] * length), GREEDY, caller=request)
            for request in range(3)
            for length in (1, 15, 48)
        ]
        await run_all(executor)
        await asyncio.gather(blocker, *futures)
    assert [len(batch) for batch in machine.batches] == [1, 3, 3, 3]


async def test_a_turn_of_a_request_ends_after_as_many_pieces_as_a_batch_has_rows() -> None:
    machine = Machine()
    async with held_queue(machine, rows=4) as (queue, executor):
        document = [queue.submit((1, i, *[0] * (i % 3 * 20)), GREEDY, caller="document") for i in range(24)]
        await settle()
        one = queue.submit((2, *[0] * 21), GREEDY, caller="one")
        await run_all(executor)
        await asyncio.gather(one, *document)
    # The document's turn ends with its first batch, so the next batch starts with the other caller's piece.
    assert (2, *[0] * 21) in machine.batches[1]


async def test_a_repeated_piece_does_not_wait_for_another_turn() -> None:
    machine = Machine()
    async with held_queue(machine, rows=4) as (queue, executor):
        first = queue.submit((1, 1), GREEDY, caller="me", request="mine")
        others = [queue.submit((0, i, *[0] * 40), GREEDY, caller=i) for i in range(80)]
        await settle()
        await executor.finish()
        await executor.finish()
        assert first.done()
        again = queue.submit((1, 2), GREEDY, caller="me", request="mine")
        new = queue.submit((1, 3, 3, *[0] * 20), GREEDY, caller="me", request="another")
        machine.batches.clear()
        await run_all(executor)
        await asyncio.gather(first, again, new, *others)
    order = [batch[0][:2] for batch in machine.batches]
    assert order.index((1, 2)) == 1  # after the running one
    assert order.index((1, 3)) >= OLD_EVERY  # the others are new callers


async def test_a_request_that_submits_pieces_one_by_one_has_one_turn() -> None:
    machine = Machine()
    async with held_queue(machine, rows=2) as (queue, executor):
        mine = [queue.submit((1, 0, *[0] * 40), GREEDY, caller="me", request="mine")]
        others = [queue.submit((0, i), GREEDY, caller=i) for i in range(60)]
        for number in range(1, 6):
            await settle()
            while not mine[-1].done():
                await executor.finish()
            mine.append(queue.submit((1, number, *[0] * 40), GREEDY, caller="me", request="mine"))
        await run_all(executor)
        await asyncio.gather(*mine, *others)
    at = [index for index, batch in enumerate(machine.batches) if batch[0][0] == 1]
    # Two pieces, as many as a batch has rows; then the other callers came first, which are new.
    assert (at[0], at[1]) == (0, 2)
    assert at[2] >= OLD_EVERY
