"""Tests of batches of models in which each hypothesis of a beam costs as much as a row."""

from __future__ import annotations

import asyncio

import pytest

from latimer_server.core.decoding import BatchLimits, DecodingOptions
from latimer_server.scheduling import BatchQueue, ComputeSlot, CorePermits
from tests.unit.scheduling.machines import HeldExecutor, Machine, run_all, settle


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (DecodingOptions(), 8),
        (DecodingOptions(beam_size=1), 32),
        (DecodingOptions(beam_size=5), 6),
        (DecodingOptions(beam_size=1, hypothesis_count=2), 16),
        (DecodingOptions(beam_size=100), 1),
    ],
)
def test_the_rows_of_a_batch_are_divided_by_its_hypotheses(options: DecodingOptions, rows: int) -> None:
    assert BatchLimits(50, 1_000, 32, default_beam=4).count_rows(options) == rows


@pytest.mark.parametrize("options", [DecodingOptions(), DecodingOptions(beam_size=8)])
def test_the_beam_does_not_reduce_the_rows_without_a_default_beam(options: DecodingOptions) -> None:
    assert BatchLimits(50, 1_000, 32).count_rows(options) == 32


async def test_a_batch_takes_fewer_pieces_with_larger_beams() -> None:
    machine = Machine()
    slot = ComputeSlot(CorePermits(1), executor := HeldExecutor())
    queue = BatchQueue(machine.run, BatchLimits(50, 1_000, 8, default_beam=4), slot, lambda: machine.now)
    futures = [queue.submit((i,), DecodingOptions()) for i in range(4)]
    futures += [queue.submit((i,), DecodingOptions(beam_size=1)) for i in range(4, 12)]
    await run_all(executor)
    await asyncio.gather(*futures)
    await queue.close()
    assert [len(batch) for batch in machine.batches] == [2, 2, 8]


async def test_a_turn_of_a_caller_is_one_batch_with_the_default_beam() -> None:
    machine = Machine()
    slot = ComputeSlot(CorePermits(1), executor := HeldExecutor())
    queue = BatchQueue(machine.run, BatchLimits(50, 1_000, 8, default_beam=4), slot, lambda: machine.now)
    first = [queue.submit((i,), DecodingOptions(), caller="bulk") for i in range(6)]
    await settle()  # the first two run
    second = queue.submit((1,) * 40, DecodingOptions(), caller="other")
    await run_all(executor)
    await asyncio.gather(*first, second)
    await queue.close()
    assert [len(batch) for batch in machine.batches] == [2, 1, 2, 2]
