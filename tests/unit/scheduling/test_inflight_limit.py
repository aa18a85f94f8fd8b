"""Tests of the window: the bound on a request's pieces in the queue."""

from __future__ import annotations

import asyncio

from latimer_server.scheduling import InflightLimit


async def test_the_window_admits_in_order_and_frees_the_space_of_cancelled_waiters() -> None:
    window = InflightLimit(10)
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
    assert order == ["first"]  # the second is not overtaken, otherwise it would starve
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    release.set()
    await asyncio.gather(first, small, huge)
    assert order == ["first", "small", "huge"]


async def test_an_unused_window_is_empty() -> None:
    window = InflightLimit(4)
    seen = [window.is_empty]
    async with window.hold(9):
        seen.append(window.is_empty)
    assert [*seen, window.is_empty] == [True, False, True]
