"""Tests of the poll time of a batch: when a backend that computes without the interpreter lock must poll."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from collections.abc import Sequence

import pytest

from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import DeadlineExceeded
from latimer_server.core.poll_time import Cancellation, PollTime
from tests.unit.scheduling.machines import GREEDY, Machine, queue_for, settle


class Holding(Machine):
    """A backend that keeps its first batch in work until `end` is set, and publishes the cancellation of each."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Cancellation] = []
        self.begin, self.end = threading.Event(), threading.Event()

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        assert isinstance(cancelled, Cancellation)
        self.begun.append(cancelled)
        self.begin.set()
        assert self.end.wait(60)
        return super().run(batch, options, cancelled)


async def start_batch(machine: Holding) -> Cancellation:
    """Waits until the first batch runs. Returns its cancellation."""
    assert await asyncio.to_thread(machine.begin.wait, 60)
    return machine.begun[0]


async def test_a_batch_need_not_poll_as_long_as_a_caller_without_a_deadline_waits() -> None:
    machine = Holding()
    async with queue_for(machine) as queue:
        futures = [queue.submit((1,), GREEDY), queue.submit((2,), GREEDY, deadline=5.0)]
        cancellation = await start_batch(machine)
        assert cancellation.time.nanoseconds is None
        machine.end.set()
        await asyncio.gather(*futures)


async def test_a_batch_polls_at_the_latest_deadline_of_the_callers_that_wait() -> None:
    machine = Holding()
    async with queue_for(machine) as queue:
        before = time.monotonic_ns()
        endless, late = queue.submit((1,), GREEDY), queue.submit((1,), GREEDY, deadline=5_000.0)
        soon = queue.submit((2,), GREEDY, deadline=50.0)
        cancellation = await start_batch(machine)
        endless.cancel()
        await settle()
        due = cancellation.time.nanoseconds
        assert due is not None
        assert before + 5_000 * 10**9 <= due <= time.monotonic_ns() + 5_000 * 10**9
        assert not cancellation()
        late.cancel()
        await settle()
        due = cancellation.time.nanoseconds
        assert due is not None
        assert before + 50 * 10**9 <= due <= time.monotonic_ns() + 50 * 10**9
        machine.now = 60.0
        assert cancellation()
        machine.end.set()
        with pytest.raises(DeadlineExceeded):
            await soon


async def test_a_batch_polls_at_once_when_its_last_caller_leaves() -> None:
    machine = Holding()
    async with queue_for(machine) as queue:
        futures = [queue.submit((n,), GREEDY) for n in range(3)]
        cancellation = await start_batch(machine)
        for future in futures:
            assert cancellation.time.nanoseconds is None
            future.cancel()
            await settle()
        assert cancellation.time.nanoseconds == 0
        assert cancellation()
        machine.end.set()


def test_the_poll_time_lies_at_its_address() -> None:
    due = PollTime()
    stored = ctypes.c_int64.from_address(due.address)
    assert (due.nanoseconds, stored.value) == (None, 2**63 - 1)
    due.set_after(0)
    assert (due.nanoseconds, stored.value) == (0, 0)
    for seconds in (float("inf"), 1e300):
        due.set_after(seconds)
        assert (due.nanoseconds, stored.value) == (None, 2**63 - 1)
    due.set_after(-float("inf"))
    assert due.nanoseconds == 0
    before = time.monotonic_ns()
    due.set_after(2.0)
    assert before + 2 * 10**9 <= stored.value <= time.monotonic_ns() + 2 * 10**9
