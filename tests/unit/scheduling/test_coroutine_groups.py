"""Coroutines that run together: results in order, and none left when one fails."""

from __future__ import annotations

import asyncio

import pytest

from latimer_server.scheduling import gather_or_cancel


async def test_a_single_coroutine_runs_without_a_new_task() -> None:
    async def name_task() -> asyncio.Task[object] | None:
        return asyncio.current_task()

    assert await gather_or_cancel([name_task()]) == [asyncio.current_task()]
    assert await gather_or_cancel([]) == []


async def test_results_come_in_order() -> None:
    async def wait(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert await gather_or_cancel(wait(turns) for turns in (3, 1, 2)) == [3, 1, 2]


async def test_all_coroutines_have_ended_when_one_fails() -> None:
    ended = []

    async def fail() -> None:
        raise ValueError

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ValueError):  # noqa: PT011
        await gather_or_cancel([wait(), fail(), wait()])
    assert ended == [True, True]


@pytest.mark.parametrize("count", [1, 3])
async def test_all_coroutines_are_cancelled_with_their_caller(count: int) -> None:
    ended = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = asyncio.get_running_loop().create_task(gather_or_cancel([wait() for _ in range(count)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(ended) == count
