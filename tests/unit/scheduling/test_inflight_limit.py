"""The window of a request's pieces."""

from __future__ import annotations

import asyncio

from latimer_server.scheduling import InflightLimit


async def test_the_window_lets_in_what_fits_in_order_and_frees_what_is_cancelled() -> None:
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
    assert order == ["first"]  # nobody overtakes the second, or it would starve
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    release.set()
    await asyncio.gather(first, small, huge)
    assert order == ["first", "small", "huge"]


async def test_a_window_is_empty_while_nobody_holds_it() -> None:
    window = InflightLimit(4)
    seen = [window.is_empty]
    async with window.hold(9):
        seen.append(window.is_empty)
    assert [*seen, window.is_empty] == [True, False, True]
