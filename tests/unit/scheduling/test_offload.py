"""What is worked on where it is asked for and what in a thread, and coroutines that belong together."""

from __future__ import annotations

import asyncio
import threading

import pytest

from latimer_server.scheduling import estimate_text_work, gather_or_cancel, run_off_loop


@pytest.mark.parametrize(("characters", "here"), [(5, True), (400, True), (1_000, False)])
async def test_a_sentence_is_worked_on_at_once_and_a_paragraph_in_a_thread(characters: int, here: bool) -> None:
    thread = await run_off_loop(estimate_text_work(["x" * characters]), threading.get_ident)

    assert (thread == threading.get_ident()) is here


async def test_many_short_texts_are_no_little_work() -> None:
    assert await run_off_loop(estimate_text_work(["x"] * 20), threading.get_ident) != threading.get_ident()


async def test_one_coroutine_alone_needs_no_task_of_its_own() -> None:
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


async def test_when_one_fails_the_others_have_ended_too() -> None:
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
async def test_when_the_caller_goes_all_are_cancelled(count: int) -> None:
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
