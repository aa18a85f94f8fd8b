"""Tests of permits: never more than there are cores, no starvation, and a limit for summaries."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.scheduling import CorePermits, Priority, PriorityPolicy
from latimer_server.scheduling.priority import BULK_EVERY
from tests.unit.scheduling.machines import settle


async def test_free_permits_are_given_at_once() -> None:
    permits = CorePermits(2)
    assert [await permits.acquire(1), await permits.acquire(1)] == [1, 1]
    assert permits.spare == 0


async def test_a_batch_for_all_cores_is_not_overtaken_by_batches_for_one() -> None:
    permits = CorePermits(2)
    order: list[str] = []

    async def work(name: str, cores: int) -> None:
        granted = await permits.acquire(cores)
        order.append(name)
        await asyncio.sleep(0)
        permits.release(granted)

    first = await permits.acquire(1)
    tasks = [asyncio.create_task(work(name, cores)) for name, cores in [("wide", 2), ("narrow", 1), ("last", 1)]]
    await settle()
    assert order == []
    permits.release(first)
    await asyncio.gather(*tasks)
    assert order[0] == "wide"


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4)])
async def test_summaries_use_at_most_half_of_the_cores(cores: int, most: int) -> None:
    permits = CorePermits(cores)
    waiting = [asyncio.create_task(permits.acquire(1, generation=True)) for _ in range(9)]
    await settle()
    assert sum(one.done() for one in waiting) == permits.generation_cores == most
    assert await permits.acquire(1) == 1  # a translation gets a core at once, even if there is only one
    for one in waiting:
        one.cancel()


async def test_a_translation_for_all_cores_runs_on_the_cores_that_a_summary_leaves() -> None:
    permits = CorePermits(4)
    summary = await permits.acquire(2, generation=True)
    assert await permits.acquire(4) == 2
    waiting = asyncio.create_task(permits.acquire(4))
    await settle()
    assert not waiting.done()
    permits.release(2)
    assert await waiting == 2
    permits.release(summary, generation=True)
    permits.release(2)
    assert permits.used == 0


async def test_translations_do_not_starve_a_waiting_summary() -> None:
    permits = CorePermits(2)
    running = [await permits.acquire(1), await permits.acquire(1)]
    summary = asyncio.create_task(permits.acquire(1, generation=True))
    await settle()
    later = [asyncio.create_task(permits.acquire(1)) for _ in range(3)]
    await settle()
    permits.release(running.pop())
    await settle()
    assert summary.done()
    for one in later:
        one.cancel()


async def test_interactive_work_of_one_model_goes_before_bulk_of_another() -> None:
    permits = CorePermits(1)
    held = await permits.acquire(1)
    order: list[str] = []

    async def work(name: str, priority: Priority) -> None:
        granted = await permits.acquire(1, priority=lambda: priority)
        order.append(name)
        permits.release(granted)

    tasks = [asyncio.create_task(work(f"bulk {i}", Priority.BULK)) for i in range(2)]
    await settle()
    tasks += [asyncio.create_task(work(f"call {i}", Priority.INTERACTIVE)) for i in range(10)]
    await settle()
    permits.release(held)
    await asyncio.gather(*tasks)
    assert order.index("bulk 0") == BULK_EVERY - 1
    assert order.index("bulk 1") > order.index("call 9") - 1


async def test_the_priority_is_read_when_a_permit_becomes_free() -> None:
    permits = CorePermits(1)
    held = await permits.acquire(1)
    kinds = {"first": Priority.BULK, "second": Priority.BULK}
    waiting = {name: asyncio.create_task(permits.acquire(1, priority=lambda name=name: kinds[name])) for name in kinds}  # type: ignore[misc]
    await settle()
    kinds["second"] = Priority.INTERACTIVE
    permits.release(held)
    await settle()
    assert [name for name, one in waiting.items() if one.done()] == ["second"]
    waiting["first"].cancel()


def test_waiting_bulk_gets_one_turn_in_eight_and_no_credit_for_earlier_turns() -> None:
    precedence = PriorityPolicy()
    for _ in range(100):
        precedence.note(Priority.INTERACTIVE, [Priority.INTERACTIVE])
    both = (Priority.INTERACTIVE, Priority.BULK)
    taken = []
    for _ in range(3 * BULK_EVERY):
        taken.append(precedence.choose(both))
        precedence.note(taken[-1], both)
    assert taken == ([Priority.INTERACTIVE] * (BULK_EVERY - 1) + [Priority.BULK]) * 3


class Crowd:
    """Tasks that wait for permits and tasks that hold some."""

    def __init__(self, cores: int) -> None:
        self.permits = CorePermits(cores)
        self.waiting: list[tuple[asyncio.Task[int], bool]] = []
        self.held: list[tuple[int, bool]] = []

    def ask(self, count: int, priority: Priority, *, generation: bool) -> None:
        acquiring = self.permits.acquire(count, generation=generation, priority=lambda: priority)
        self.waiting.append((asyncio.create_task(acquiring), generation))

    def give_back(self, which: int = 0) -> None:
        if self.held:
            count, generation = self.held.pop(which % len(self.held))
            self.permits.release(count, generation=generation)

    def leave(self, which: int) -> None:
        if self.waiting:
            self.waiting[which % len(self.waiting)][0].cancel()

    def check(self) -> None:
        for pair in [pair for pair in self.waiting if pair[0].done()]:
            self.waiting.remove(pair)
            if not pair[0].cancelled():
                self.held.append((pair[0].result(), pair[1]))
        cores = self.permits.cores
        summaries = sum(count for count, generation in self.held if generation)
        translations = sum(count for count, generation in self.held if not generation)
        assert summaries <= self.permits.generation_cores
        assert translations <= cores
        assert cores == 1 or summaries + translations <= cores


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "ask", "give back", "leave"]),
            st.integers(1, 8),
            st.booleans(),
            st.sampled_from(Priority),
            st.integers(0, 50),
        ),
        max_size=60,
    ),
)
def test_every_waiter_gets_permits_and_there_are_never_too_many(
    cores: int, steps: list[tuple[str, int, bool, Priority, int]]
) -> None:
    async def play() -> None:
        crowd = Crowd(cores)
        for action, count, generation, priority, which in steps:
            match action:
                case "ask":
                    crowd.ask(count, priority, generation=generation)
                case "give back":
                    crowd.give_back(which)
                case _:
                    crowd.leave(which)
            if which % 3:
                await settle()
            crowd.check()
        await settle()
        crowd.check()
        while crowd.waiting:
            assert crowd.held, "a task waits although every permit is free"
            crowd.give_back()
            await settle()
            crowd.check()
        while crowd.held:
            crowd.give_back()
        assert (crowd.permits.used, crowd.permits.spare) == (0, cores)

    asyncio.run(play())
