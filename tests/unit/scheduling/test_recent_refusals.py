"""Recent refusals: they hold for the next requests of their kind, for a moment, and only while nothing has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import pytest

from latimer_server.core.errors import TooLate
from latimer_server.scheduling import BatchQueue, Priority
from latimer_server.scheduling.recent_refusals import RecentRefusals, Refusal
from latimer_server.scheduling.request_backlog import RequestBacklog
from tests.unit.scheduling.machines import GREEDY, Machine, held_queue, run_all, settle

SIZE = 1_000
NEEDED = 2.0
MESSAGE = "the requests in work take too long"


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Refusals:
    """Refusals of a model with much work of a caller `busy`. `caller`: that of the refused request."""

    def __init__(self, caller: Hashable = "caller", *, holds_for_all: bool = False, decay: float = 1.0) -> None:
        self.clock = Clock()
        self.backlog = RequestBacklog(self.clock)
        self.work = self.backlog.hold(100 * SIZE, "busy")
        self.work.__enter__()
        self.recent = RecentRefusals(self.backlog, self.clock)
        refusal = Refusal(self.clock.now, SIZE, SIZE, NEEDED, decay, MESSAGE, 0.5)
        self.error = self.recent.add(refusal, caller, holds_for_all=holds_for_all)

    def refuses(self, caller: Hashable = "caller", size: int = SIZE, seconds: float | None = 1.0) -> bool:
        try:
            self.error.repeat(size, caller, None if seconds is None else self.clock.now + seconds)
        except TooLate:
            return True
        return False


def test_a_refusal_holds_for_an_equal_request_of_its_caller() -> None:
    refusals = Refusals()
    with pytest.raises(TooLate, match=MESSAGE) as refused:
        refusals.error.repeat(SIZE, "caller", refusals.clock.now + 1.0)
    assert (refused.value.retry_after, refused.value.characters) == (0.5, SIZE)


def test_a_refusal_holds_for_longer_requests_and_not_for_shorter_ones() -> None:
    refusals = Refusals()
    assert refusals.refuses(size=2 * SIZE)
    assert not refusals.refuses(size=SIZE - 1)


def test_a_refusal_does_not_hold_for_a_later_deadline_or_for_none() -> None:
    refusals = Refusals()
    assert refusals.refuses(seconds=NEEDED - 0.01)
    assert not refusals.refuses(seconds=NEEDED)
    assert not refusals.refuses(seconds=None)


@pytest.mark.parametrize("decay", [1.0, 3.0])
def test_the_seconds_that_a_request_needs_fall_while_the_work_before_it_is_done(decay: float) -> None:
    refusals = Refusals(decay=decay)
    refusals.clock.now += 0.2
    assert refusals.refuses(seconds=NEEDED - 0.2 * decay - 0.01)
    assert not refusals.refuses(seconds=NEEDED - 0.2 * decay + 0.01)


def test_a_refusal_holds_for_a_quarter_of_a_second() -> None:
    refusals = Refusals()
    refusals.clock.now += 0.25
    assert refusals.refuses()
    refusals.clock.now += 0.01
    assert not refusals.refuses(seconds=0.0)


def test_a_refusal_for_the_work_of_its_caller_holds_for_no_other_caller() -> None:
    assert not Refusals().refuses("other")
    assert Refusals(holds_for_all=True).refuses("other")


def test_an_idle_model_repeats_no_refusal() -> None:
    refusals = Refusals(holds_for_all=True)
    refusals.work.__exit__(None, None, None)
    assert not refusals.refuses()


def test_a_caller_whose_texts_need_no_model_is_not_refused_for_others() -> None:
    refusals = Refusals(holds_for_all=True)
    with refusals.backlog.hold(SIZE, "numbers") as request:
        request.settle(0)
    assert not refusals.refuses("numbers")


def test_the_refusals_of_many_callers_take_bounded_memory() -> None:
    refusals = Refusals("first")
    for number in range(1_024):
        refusals.recent.add(Refusal(refusals.clock.now, 0, 0, NEEDED, 1.0, MESSAGE, 0.5), number)
    assert not refusals.refuses("first")


async def fill(queue: BatchQueue) -> list[asyncio.Future[object]]:
    """Queues pieces of many callers."""
    futures = [queue.submit((i, *[0] * 9), GREEDY, caller=i) for i in range(88)]
    await settle()
    return futures  # type: ignore[return-value]


async def test_a_queue_repeats_its_refusal_until_its_work_is_done() -> None:
    machine = Machine(seconds=lambda batch: 0.001)
    async with held_queue(machine) as (queue, executor):
        for _ in range(3):
            futures = await fill(queue)
            await run_all(executor)
            await asyncio.gather(*futures)
        queue.note_encoding(100, 50)
        with queue.hold_request(10_000, None, "others"):
            futures = await fill(queue)
            deadline = machine.now + 1e-6
            with pytest.raises(TooLate) as refused:
                queue.require_deadline_met(deadline, Priority.INTERACTIVE, "caller")
            with pytest.raises(TooLate, match=str(refused.value)):
                refused.value.repeat(0, "caller", deadline)
            refused.value.repeat(0, "other", deadline)
            with pytest.raises(TooLate) as late, queue.hold_request(1_000, deadline, "caller"):
                pass
            with pytest.raises(TooLate, match=str(late.value)):
                late.value.repeat(1_000, "other", deadline)
            await run_all(executor)
            await asyncio.gather(*futures)
        late.value.repeat(1_000, "other", deadline)
