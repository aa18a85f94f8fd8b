"""Batches: what goes into them, in which order, and what becomes of late, gone and poisonous pieces."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.backends.base import Cancelled, DecodingOptions, Hypothesis, Limits, TokenIds
from latimer_server.errors import DeadlineExceeded, Overloaded, Unavailable
from latimer_server.scheduling import Admission, BatchQueue, CorePermits, Outcome, PieceWindow, Priority

GREEDY = DecodingOptions()


class Machine:
    """Runs batches when it is told to; time stands still unless moved."""

    def __init__(self, fail_on: Callable[[TokenIds], bool] = lambda ids: False) -> None:
        self.batches: list[list[TokenIds]] = []
        self.now = 0.0
        self._fail_on = fail_on

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.batches.append(list(batch))
        if any(self._fail_on(ids) for ids in batch):
            raise RuntimeError("poison")
        return [Hypothesis(ids, 0.0, truncated=False) for ids in batch]


@asynccontextmanager
async def queue_for(machine: Machine, rows: int = 8, tokens: int = 100) -> AsyncIterator[BatchQueue]:
    with ThreadPoolExecutor(1) as executor:
        queue = BatchQueue(machine.run, Limits(50, tokens, rows), CorePermits(1, executor), lambda: machine.now)
        yield queue
        await queue.close()


async def test_pieces_of_like_length_share_a_batch_within_the_padded_budget() -> None:
    machine = Machine()
    async with queue_for(machine, rows=3, tokens=30) as queue:
        futures = [queue.submit((0,) * length, GREEDY) for length in (5, 25, 6, 24, 7, 5)]
        await asyncio.gather(*futures)
    sizes = [sorted(map(len, batch)) for batch in machine.batches]
    assert sizes == [[5, 5, 6], [25], [24], [7]]


async def test_each_piece_gets_its_own_hypothesis() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        pieces = [(i,) * (1 + i % 7) for i in range(40)]
        outcomes = await asyncio.gather(*(queue.submit(ids, GREEDY) for ids in pieces))
    assert [outcome.hypothesis.ids for outcome in outcomes] == pieces


async def test_interactive_pieces_go_before_bulk_ones_that_came_first() -> None:
    machine = Machine()
    async with queue_for(machine, rows=1) as queue:
        bulk = queue.submit((1,), GREEDY, priority=Priority.BULK)
        later_bulk = queue.submit((2,), GREEDY, priority=Priority.BULK)
        interactive = queue.submit((3,), GREEDY)
        await asyncio.gather(bulk, later_bulk, interactive)
    assert machine.batches == [[(3,)], [(1,)], [(2,)]]


async def test_pieces_with_other_options_never_share_a_batch() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        await asyncio.gather(
            queue.submit((1,), GREEDY),
            queue.submit((2,), DecodingOptions(max_output_tokens=3)),
            queue.submit((3,), GREEDY),
        )
    assert machine.batches == [[(1,), (3,)], [(2,)]]


async def test_a_piece_whose_deadline_passed_is_refused_before_it_costs_anything() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        late = queue.submit((1,), GREEDY, deadline=5.0)
        in_time = queue.submit((2,), GREEDY, deadline=15.0)
        machine.now = 10.0
        with pytest.raises(DeadlineExceeded):
            await late
        await in_time
    assert machine.batches == [[(2,)]]


async def test_a_piece_whose_caller_has_gone_is_dropped() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        gone, stays = queue.submit((1,), GREEDY), queue.submit((2,), GREEDY)
        gone.cancel()
        await stays
    assert machine.batches == [[(2,)]]


async def test_one_poisonous_piece_fails_alone() -> None:
    machine = Machine(fail_on=lambda ids: ids == (13,))
    async with queue_for(machine) as queue:
        futures = [queue.submit((i,), GREEDY) for i in (11, 12, 13, 14)]
        results = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(result, RuntimeError) for result in results] == [False, False, True, False]


async def test_a_backend_that_loses_rows_fails_them_and_hangs_nobody() -> None:
    class Lossy(Machine):
        def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
            return super().run(batch, options, cancelled)[1:]

    async with queue_for(Lossy()) as queue:
        results = await asyncio.gather(*(queue.submit((i,), GREEDY) for i in range(3)), return_exceptions=True)
    assert all(isinstance(result, RuntimeError) for result in results)


async def test_closing_answers_those_that_wait() -> None:
    machine = Machine()
    async with queue_for(machine) as queue:
        waiting = queue.submit((1,), GREEDY)
        await queue.close()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            queue.submit((2,), GREEDY)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.sampled_from(Priority), st.sampled_from([None, 1.0, 100.0]), st.booleans()),
        max_size=40,
    )
)
def test_whatever_arrives_everyone_is_answered_once_and_no_batch_is_over_budget(
    arrivals: list[tuple[int, Priority, float | None, bool]],
) -> None:
    async def play() -> None:
        machine = Machine()
        async with queue_for(machine, rows=5, tokens=60) as queue:
            futures = []
            for index, (length, priority, deadline, gone) in enumerate(arrivals):
                future = queue.submit((index,) * length, GREEDY, priority=priority, deadline=deadline)
                futures.append(future)
                if gone:
                    future.cancel()
                machine.now += 0.1
            results = await asyncio.gather(*futures, return_exceptions=True)
        for (length, _, deadline, gone), index, result in zip(arrivals, range(len(arrivals)), results, strict=True):
            if gone:
                assert isinstance(result, asyncio.CancelledError)
            elif isinstance(result, DeadlineExceeded):
                assert deadline is not None
            else:
                assert not isinstance(result, BaseException)
                assert result.hypothesis.ids == (index,) * length
        for batch in machine.batches:
            assert len(batch) <= 5
            assert len(batch) == 1 or max(map(len, batch)) * len(batch) <= 60

    asyncio.run(play())


def test_requests_past_the_bound_are_refused_at_once() -> None:
    admission = Admission(2, retry_after=3.0)
    with admission.admit(), admission.admit(), pytest.raises(Overloaded) as refused, admission.admit():
        pass
    assert refused.value.retry_after == 3.0
    with admission.admit():
        assert admission.active == 1


def test_a_draining_server_admits_nobody() -> None:
    admission = Admission(2)
    admission.drain()
    with pytest.raises(Unavailable), admission.admit():
        pass


async def test_whoever_brings_new_options_each_time_starves_nobody() -> None:
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


async def test_withdrawn_pieces_of_a_length_that_no_batch_comes_near_are_forgotten() -> None:
    machine = Machine()
    async with queue_for(machine, rows=1) as queue:
        gone = [weakref.ref(_withdraw(queue, 40)) for _ in range(3_000)]
        live = [queue.submit((1,), GREEDY) for _ in range(20)]
        await live[5]
        gc.collect()
        assert sum(reference() is not None for reference in gone) <= 1_100
        await asyncio.gather(*live)


def _withdraw(queue: BatchQueue, length: int) -> asyncio.Future[Outcome]:
    future = queue.submit((7,) * length, GREEDY)
    future.cancel()
    return future


async def test_a_backend_that_panics_fails_its_pieces_and_goes_on() -> None:
    class Panic(BaseException):
        """As a Rust library's: no Exception."""

    class Panicking(Machine):
        def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
            if (13,) in batch:
                raise Panic
            return super().run(batch, options, cancelled)

    async with queue_for(Panicking()) as queue:
        results = await asyncio.gather(*(queue.submit((i,), GREEDY) for i in (12, 13, 14)), return_exceptions=True)
        assert [isinstance(result, RuntimeError) for result in results] == [False, True, False]
        await queue.submit((15,), GREEDY)


async def test_a_caller_with_one_piece_waits_for_one_batch_of_a_caller_with_many() -> None:
    machine = Machine()
    async with queue_for(machine, rows=4) as queue:
        many = [queue.submit((i,) * 5, GREEDY, caller="many") for i in range(100)]
        one = queue.submit((1,) * 40, GREEDY, caller="one")
        await asyncio.gather(one, *many)
    assert [len(batch[0]) for batch in machine.batches[:3]] == [5, 40, 5]


async def test_a_hundred_thousand_pieces_fill_whole_batches() -> None:
    machine = Machine()
    async with queue_for(machine, rows=1_000, tokens=1_000_000) as queue:
        futures = [queue.submit((i,) * (i % 40 + 1), GREEDY, caller=i % 7) for i in range(100_000)]
        await asyncio.gather(*futures)
    assert sum(map(len, machine.batches)) == 100_000
    assert len(machine.batches) <= 150


async def test_the_window_lets_in_what_fits_in_order_and_frees_what_is_cancelled() -> None:
    window = PieceWindow(10)
    order: list[str] = []

    async def use(name: str, count: int, release: asyncio.Event) -> None:
        async with window.hold(count):
            order.append(name)
            await release.wait()

    release = asyncio.Event()
    first = asyncio.create_task(use("first", 6, release))
    second = asyncio.create_task(use("second", 6, release))
    small = asyncio.create_task(use("small", 1, release))
    huge = asyncio.create_task(use("huge", 99, release))
    await asyncio.sleep(0)
    assert order == ["first"]  # nobody overtakes the second, or it would starve
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    release.set()
    await asyncio.gather(first, small, huge)
    assert order == ["first", "small", "huge"]
