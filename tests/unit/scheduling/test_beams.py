"""Batches of models for which a beam's hypotheses cost what as many rows do."""

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
def test_a_batch_has_room_for_hypotheses(options: DecodingOptions, rows: int) -> None:
    assert BatchLimits(50, 1_000, 32, default_beam=4).count_rows(options) == rows


@pytest.mark.parametrize("options", [DecodingOptions(), DecodingOptions(beam_size=8)])
def test_where_a_beam_is_not_counted_rows_are(options: DecodingOptions) -> None:
    assert BatchLimits(50, 1_000, 32).count_rows(options) == 32


async def test_a_queue_takes_as_many_pieces_as_have_room_with_their_beams() -> None:
    machine = Machine()
    slot = ComputeSlot(CorePermits(1), executor := HeldExecutor())
    queue = BatchQueue(machine.run, BatchLimits(50, 1_000, 8, default_beam=4), slot, lambda: machine.now)
    futures = [queue.submit((i,), DecodingOptions()) for i in range(4)]
    futures += [queue.submit((i,), DecodingOptions(beam_size=1)) for i in range(4, 12)]
    await run_all(executor)
    await asyncio.gather(*futures)
    await queue.close()
    assert [len(batch) for batch in machine.batches] == [2, 2, 8]


async def test_a_turn_is_a_batch_of_the_models_own_beam() -> None:
    machine = Machine()
    slot = ComputeSlot(CorePermits(1), executor := HeldExecutor())
    queue = BatchQueue(machine.run, BatchLimits(50, 1_000, 8, default_beam=4), slot, lambda: machine.now)
    first = [queue.submit((i,), DecodingOptions(), caller="bulk") for i in range(6)]
    await settle()  # the first two are at work
    second = queue.submit((1,) * 40, DecodingOptions(), caller="other")
    await run_all(executor)
    await asyncio.gather(*first, second)
    await queue.close()
    assert [len(batch) for batch in machine.batches] == [2, 2, 1, 2]
