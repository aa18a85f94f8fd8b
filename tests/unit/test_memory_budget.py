"""Tests of the memory budget: it is never exceeded, reservations in use are kept, and every waiter is answered."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.core.errors import ModelError
from latimer_server.models.pool.memory_budget import MemoryBudget, MemoryReservation


class House:
    """A budget whose reservations are evicted at once, or when the test calls `let_go`."""

    def __init__(self, max_bytes: int | None, *, at_once: bool = True) -> None:
        self.budget = MemoryBudget(max_bytes, self._evict)
        self.at_once = at_once
        self.unloading: list[MemoryReservation] = []
        self.inside: list[MemoryReservation] = []

    def _evict(self, reservation: MemoryReservation) -> None:
        assert reservation.holders == 0, "it is in use"
        assert reservation.confirmed
        assert not (reservation.pinned and not reservation.evict_requested)
        self.unloading.append(reservation)
        if self.at_once:
            asyncio.get_running_loop().call_soon(self.let_go, reservation)

    def let_go(self, reservation: MemoryReservation) -> None:
        self.unloading.remove(reservation)
        self.inside.remove(reservation)
        self.budget.free(reservation)

    async def acquire(self, name: str, size: int, *, pinned: bool = False) -> MemoryReservation:
        """Returns an admitted and measured reservation without holders."""
        reservation = MemoryReservation(name, size, pinned=pinned)
        await self.budget.acquire(reservation)
        self.inside.append(reservation)
        assert self.budget.confirm(reservation, size)
        return reservation

    @property
    def names(self) -> set[str]:
        return {reservation.name for reservation in self.inside}


def use(house: House, reservation: MemoryReservation) -> None:
    """Holds a reservation for a moment."""
    house.budget.hold(reservation)
    house.budget.release(reservation)


async def test_the_least_recently_used_reservation_is_evicted() -> None:
    house = House(30)
    a, b, c = [await house.acquire(name, 10) for name in "abc"]
    for reservation in (a, b, c, a):
        use(house, reservation)
    await house.acquire("d", 10)
    assert house.names == {"a", "c", "d"}
    await house.acquire("e", 20)
    assert house.names == {"a", "e"} or house.names == {"d", "e"}
    assert house.budget.used == 30


async def test_without_a_bound_no_reservation_is_evicted() -> None:
    house = House(None)
    for number in range(100):
        await house.acquire(str(number), 1 << 40)
    assert len(house.inside) == 100


async def test_a_reservation_in_use_is_evicted_after_its_holders_and_takes_no_new_ones() -> None:
    house = House(10)
    hot = await house.acquire("hot", 10)
    house.budget.hold(hot)
    entering = asyncio.create_task(house.acquire("new", 10))
    await asyncio.sleep(0)
    assert hot.is_closed
    assert not entering.done()
    house.budget.release(hot)
    await entering
    assert house.names == {"new"}


async def test_a_cancelled_waiter_reopens_the_reservations_that_it_closed() -> None:
    house = House(10)
    hot = await house.acquire("hot", 10)
    house.budget.hold(hot)
    entering = asyncio.create_task(house.acquire("new", 10))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(hot.wait())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    assert not hot.is_closed
    await asyncio.wait_for(waiting, 10)
    house.budget.release(hot)
    assert house.names == {"hot"}


async def test_a_waiter_that_is_cancelled_at_its_admission_reserves_no_memory() -> None:
    house = House(10)
    hot = await house.acquire("hot", 10)
    house.budget.hold(hot)
    reservation = MemoryReservation("new", 10)
    entering = asyncio.create_task(house.budget.acquire(reservation))
    await asyncio.sleep(0)
    house.at_once = False
    house.budget.release(hot)
    house.let_go(hot)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    assert house.budget.used == 0


async def test_a_model_that_can_never_fit_is_refused_by_name_with_both_sizes() -> None:
    house = House(2 << 30)
    with pytest.raises(ModelError, match=r"model big needs 3\.0 GiB; max_model_memory is 2\.0 GiB$"):
        await house.acquire("big", 3 << 30)
    await house.acquire("preloaded", 1 << 30, pinned=True)
    with pytest.raises(ModelError, match=r"needs 1\.5 GiB; .* 2\.0 GiB, of which preloaded models take 1\.0 GiB"):
        await house.acquire("other", 3 << 29)


async def test_an_estimate_refuses_a_model_only_by_its_lower_bound() -> None:
    house = House(10)
    hot = await house.acquire("hot", 6)
    guessed = MemoryReservation("guessed", 16, least=8)
    await house.budget.acquire(guessed)
    assert guessed.size == 10
    assert hot not in house.inside
    house.inside.append(guessed)
    assert house.budget.confirm(guessed, 7)
    with pytest.raises(ModelError, match="model larger needs 11 B"):
        await house.budget.acquire(MemoryReservation("larger", 22, least=11))
    with pytest.raises(ModelError, match="model measured needs 12 B"):
        await house.budget.acquire(MemoryReservation("measured", 12, least=12))


async def test_preloaded_models_are_kept_and_may_exceed_the_budget() -> None:
    house = House(10)
    await house.acquire("passing", 5)
    for name in "ab":
        await house.acquire(name, 8, pinned=True)
    assert house.names == {"a", "b"}
    with pytest.raises(ModelError, match="preloaded models take 16 B"):
        await house.acquire("other", 1)


async def test_a_model_that_is_larger_than_estimated_must_reserve_again() -> None:
    house = House(10)
    held = await house.acquire("held", 6)
    house.budget.hold(held)
    grown = MemoryReservation("grown", 2)
    await house.budget.acquire(grown)
    assert not house.budget.confirm(grown, 5)
    house.budget.free(grown)
    grown.size = 5
    entering = asyncio.create_task(house.budget.acquire(grown))
    await asyncio.sleep(0)
    house.budget.release(held)
    await entering
    house.inside.append(grown)
    assert house.budget.confirm(grown, 5)
    assert house.names == {"grown"}


async def test_dismissed_reservations_are_evicted_after_their_last_holder_even_if_pinned() -> None:
    house = House(None)
    reservation = await house.acquire("kept", 5, pinned=True)
    house.budget.hold(reservation)
    house.budget.evict_when_idle(reservation)
    await asyncio.sleep(0)
    assert house.names == {"kept"}
    house.budget.release(reservation)
    await asyncio.sleep(0)
    assert house.names == set()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "hold", "release", "let go", "cancel", "dismiss", "grow"]),
        st.integers(0, 9),
        st.integers(1, 12),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans())
def test_the_budget_holds_and_every_waiter_is_answered(steps: list[tuple[str, int, int]], with_kept: bool) -> None:
    asyncio.run(_live(steps, with_kept))


async def _live(steps: list[tuple[str, int, int]], with_kept: bool) -> None:  # noqa: C901 (one branch per operation)
    house = House(20, at_once=False)
    asking: dict[MemoryReservation, asyncio.Task[None]] = {}

    async def settle_down() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        for reservation, task in list(asking.items()):
            if task.done():
                del asking[reservation]
                with contextlib.suppress(asyncio.CancelledError, ModelError):
                    task.result()
                    house.inside.append(reservation)
                    house.budget.confirm(reservation, reservation.size)
        pinned = sum(reservation.size for reservation in house.inside if reservation.pinned)
        assert house.budget.used <= max(20, pinned)

    def pick(reservations: list[MemoryReservation], number: int) -> MemoryReservation | None:
        return reservations[number % len(reservations)] if reservations else None

    for what, number, size in steps:
        if what == "ask":
            pinned = with_kept and number == 0 and size < 6
            reservation = MemoryReservation(
                f"model-{number}", size, least=size // 2 if number % 2 else None, pinned=pinned
            )
            asking[reservation] = asyncio.create_task(house.budget.acquire(reservation))
        elif what == "hold" and (open_ := pick([t for t in house.inside if not t.is_closed], number)):
            house.budget.hold(open_)
        elif what == "release" and (held := pick([t for t in house.inside if t.holders], number)):
            house.budget.release(held)
        elif what == "let go" and (gone := pick(house.unloading, number)):
            house.let_go(gone)
        elif what == "cancel" and (wanted := pick(list(asking), number)):
            asking[wanted].cancel()
        elif what == "dismiss" and (inside := pick(house.inside, number)):
            house.budget.evict_when_idle(inside)
        elif what == "grow" and (grown := pick([t for t in house.inside if not t.is_closed], number)):
            house.budget.confirm(grown, max(1, grown.size - 1))
        await settle_down()

    # At the end all holders release; then every remaining waiter is admitted or refused.
    house.at_once = True
    order = random.Random(len(steps))
    while asking:
        before = (len(asking), len(house.inside), sum(reservation.holders for reservation in house.inside))
        for reservation in order.sample(house.inside, len(house.inside)):
            while reservation.holders:
                house.budget.release(reservation)
        for reservation in list(house.unloading):
            house.let_go(reservation)
        await settle_down()
        assert (len(asking), len(house.inside), 0) != before, "no task makes progress"
