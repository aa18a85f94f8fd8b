"""Tests that the task that waits longest is next: otherwise one caller could be served alone."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.peers.turns import Turns

pytestmark = pytest.mark.asyncio


async def test_callers_that_ask_again_at_once_take_turns() -> None:
    turns, served = Turns(["worker"]), list[str]()

    async def call(name: str) -> None:
        for _ in range(3):
            async with turns.take():
                await asyncio.sleep(0)
                served.append(name)

    await asyncio.gather(call("a"), call("b"))
    assert served == ["a", "b", "a", "b", "a", "b"]


async def test_a_free_object_is_lent_without_waiting() -> None:
    turns = Turns([1, 2])
    async with turns.take() as first, turns.take() as second:
        assert {first, second} == {1, 2}


async def test_a_cancelled_waiter_does_not_keep_the_object() -> None:
    turns = Turns(["worker"])

    async def wait() -> None:
        async with turns.take():
            pass

    async with turns.take():
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(1), turns.take() as worker:
        assert worker == "worker"
