"""Tests that the count of waiting pieces is exact at every turn of the loop."""

from __future__ import annotations

import asyncio

import pytest

from latimer_server.scheduling.waiting_items import WaitingItems
from latimer_server.scheduling.work_items import PieceWaiter, WorkItem
from tests.unit.scheduling.machines import GREEDY


@pytest.mark.parametrize("many", [1_020, 1_100, 3_000])
async def test_pieces_that_are_cancelled_together_are_no_longer_counted_after_a_sweep(many: int) -> None:
    """Two callers cancel their pieces in one turn of the loop, and a worker looks at the queue between them."""
    loop, queued = asyncio.get_running_loop(), WaitingItems(32)
    first, second = ([loop.create_future() for _ in range(count)] for count in (many, 3))
    for caller, futures in (("a", first), ("b", second)):
        for number, future in enumerate(futures):
            queued.add((ord(caller), number), GREEDY, PieceWaiter(future, None, 0.0), caller, caller)
    seen: list[tuple[WorkItem | None, int]] = []

    def look() -> None:
        seen.append((queued.take_head(WorkItem.is_wanted), queued.count))

    for future in first:
        future.cancel()
    loop.call_soon(look)
    for future in second:
        future.cancel()
    await asyncio.sleep(0)
    assert seen == [(None, 0)]
    await asyncio.sleep(0)
    assert (queued.count, queued.tokens) == (0, 0)
