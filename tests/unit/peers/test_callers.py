"""Tests of concurrent callers."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.peers import callers

pytestmark = pytest.mark.asyncio


async def test_all_callers_call_at_once_and_calls_that_end_in_time_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "_WARM_SECONDS", 0.0)
    running = most = 0

    async def translate(_: str) -> None:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await asyncio.sleep(0)
        running -= 1

    load = await callers.call_concurrently(translate, ("two words",), 3, 0.01)
    assert most == 3
    assert load.words == 2 * len(load.latencies) > 0


async def test_at_least_one_call_is_awaited_if_the_engine_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "_WARM_SECONDS", 0.0)
    load = await callers.call_concurrently(lambda _: asyncio.sleep(0), ("two words",), 1, 0.0)
    assert (load.words, len(load.latencies)) == (2, 1)
    assert load.cells["words/s"] == pytest.approx(2 / load.seconds)
