"""Callers without keys: the connections of one address share the part of one caller, in every order of work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable
from contextlib import ExitStack

import pytest

from latimer_server.core.abandonment import require_wanted
from latimer_server.core.callers import ConnectionCaller
from latimer_server.core.errors import Overloaded
from latimer_server.scheduling import Priority
from latimer_server.scheduling.admission import Admission
from latimer_server.scheduling.request_backlog import FIXED_CHARACTERS, RequestBacklog
from latimer_server.scheduling.text_memory import TextMemory
from latimer_server.scheduling.text_work import TextWorkers
from latimer_server.scheduling.time_shares import GroupedTimeShares
from tests.unit.scheduling.machines import GREEDY, Machine, held_queue, run_all, settle

CROWD = [ConnectionCaller(f"crowd {number}", "crowd") for number in range(50)]
OTHER = ConnectionCaller("other", "elsewhere")
MIB = 1 << 20


async def test_an_address_of_fifty_connections_has_one_turn_between_two_of_another_address() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        futures = [queue.submit((1, i), GREEDY, caller=caller) for i, caller in enumerate(CROWD)]
        await settle()
        for _ in range(10):
            await executor.finish()
        futures += [queue.submit((2, i), GREEDY, caller=OTHER) for i in range(20)]
        await run_all(executor)
        await asyncio.gather(*futures)
    order = [batch[0][0] for batch in machine.batches]
    assert order.index(2) <= 11  # a batch may run already
    first, last = order.index(2), len(order) - order[::-1].index(2)
    assert order[first:last].count(1) <= 22


async def test_the_connections_of_an_address_take_turns() -> None:
    machine = Machine()
    async with held_queue(machine, rows=1) as (queue, executor):
        many = [queue.submit((1, i), GREEDY, caller=CROWD[0]) for i in range(100)]
        other = [queue.submit((3, i), GREEDY, caller=OTHER) for i in range(100)]
        await settle()
        for _ in range(10):
            await executor.finish()
        one = queue.submit((2,), GREEDY, caller=CROWD[1])
        for _ in range(6):
            await executor.finish()
        assert one.done()
        await run_all(executor)
        await asyncio.gather(one, *many, *other)


async def test_the_wait_beside_fifty_connections_of_an_address_is_that_of_one_caller() -> None:
    waits = []
    for crowd in (CROWD, [str(caller) for caller in CROWD]):
        async with held_queue(Machine(seconds=lambda _: 1.0), rows=1) as (queue, executor):
            warm = queue.submit((1,), GREEDY)
            await run_all(executor)
            await warm
            futures = [queue.submit((i, i), GREEDY, caller=caller) for i, caller in enumerate(crowd)]
            await settle()
            waits.append(queue.estimate_wait(Priority.INTERACTIVE, OTHER))
            await run_all(executor)
            await asyncio.gather(*futures)
    assert waits[0] * 10 < waits[1]


def test_a_request_beside_fifty_connections_of_an_address_waits_for_as_much_as_its_own() -> None:
    backlog = RequestBacklog(lambda: 0.0)
    backlog.note_encoding(1_000, 1_000)
    rate = 1_000.0
    with ExitStack() as stack:
        for caller in CROWD:
            stack.enter_context(backlog.hold(20_000, caller))
        own = 500 + FIXED_CHARACTERS
        assert not backlog.estimate_seconds(500, OTHER, rate, 2 * own / rate)
        # Beside connections of its own address it waits for each of them.
        late = backlog.estimate_seconds(500, ConnectionCaller("crowd new", "crowd"), rate, 2 * own / rate)
        assert late == pytest.approx(51 * own / rate)


def test_a_refusal_of_a_busy_address_does_not_hold_for_others() -> None:
    backlog = RequestBacklog(lambda: 0.0)
    with backlog.hold(20_000, CROWD[0]):
        assert backlog.has_work_of(CROWD[1])
        assert not backlog.has_work_of(OTHER)


def test_an_address_finds_a_place_beside_any_number_of_connections_of_another() -> None:
    admission = Admission(256)
    with ExitStack() as stack:
        refused = 0
        for number in range(1_000):
            try:
                stack.enter_context(admission.admit(ConnectionCaller(str(number), "crowd")))
            except Overloaded:
                refused += 1
        assert refused == 1_000 - 240
        admission.require_place(OTHER)


def take(shares: GroupedTimeShares, waiting: list[Hashable], turns: int) -> list[Hashable]:
    """Returns the callers of so many turns of one second each."""
    taken = []
    for _ in range(turns):
        taken.append(shares.choose(waiting))
        shares.charge(taken[-1], 1.0)
    return taken


def test_an_address_gets_the_time_of_one_caller_and_its_connections_share_it() -> None:
    shares = GroupedTimeShares()
    waiting: list[Hashable] = [*CROWD[:4], OTHER]
    for caller in waiting:
        shares.add(caller)
    taken = take(shares, waiting, 16)
    assert taken.count(OTHER) == 8
    assert [taken.count(caller) for caller in CROWD[:4]] == [2] * 4


def test_shares_of_time_are_forgotten_with_their_callers() -> None:
    shares = GroupedTimeShares()
    for caller in (*CROWD, OTHER):
        shares.add(caller)
    take(shares, [*CROWD, OTHER], 100)
    shares.forget([OTHER])
    shares.add(CROWD[0])
    assert take(shares, [CROWD[0], OTHER], 2).count(OTHER) == 1


async def test_work_of_one_address_leaves_threads_for_others() -> None:
    """Work that has begun holds a thread until it ends, so one address must not hold all of them."""
    now = 0.0
    workers, begun, release = TextWorkers(lambda: now), [], threading.Event()

    def work() -> None:
        nonlocal now
        begun.append(1)
        while not release.is_set():
            now += 1.0
            require_wanted()

    tasks = [asyncio.create_task(workers.run(2_000, work, caller, None, bounded=True)) for caller in CROWD]
    await settle()
    other = asyncio.create_task(workers.run(2_000, lambda: len(begun), OTHER, None, bounded=True))
    assert await other <= 4
    release.set()
    await asyncio.gather(*tasks)
    workers.close()


async def test_memory_goes_to_addresses_in_turns() -> None:
    memory, order = TextMemory(10 * MIB), []

    async def hold(caller: Hashable) -> None:
        async with memory.hold(10 * MIB, caller):
            order.append(caller)
            await asyncio.sleep(0)

    await asyncio.gather(*(hold(caller) for caller in (*CROWD, OTHER)))
    assert len(order) == len(CROWD) + 1
    assert OTHER in order[:3]
