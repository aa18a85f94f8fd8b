"""Room in memory: never more than there is, nobody in use put out, nobody waiting for ever."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.core.errors import ModelError
from latimer_server.models.pool.memory_budget import Room, Tenant


class House:
    """A room whose tenants leave when they are told to, at once or when the test says."""

    def __init__(self, most: int | None, *, at_once: bool = True) -> None:
        self.room = Room(most, self._put_out)
        self.at_once = at_once
        self.leaving: list[Tenant] = []
        self.inside: list[Tenant] = []

    def _put_out(self, tenant: Tenant) -> None:
        assert tenant.holders == 0, "it is in use"
        assert tenant.settled
        assert not (tenant.kept and not tenant.dismissed)
        self.leaving.append(tenant)
        if self.at_once:
            asyncio.get_running_loop().call_soon(self.let_go, tenant)

    def let_go(self, tenant: Tenant) -> None:
        self.leaving.remove(tenant)
        self.inside.remove(tenant)
        self.room.leave(tenant)

    async def enter(self, name: str, size: int, *, kept: bool = False) -> Tenant:
        """A tenant that was let in and measured, and that nobody holds yet."""
        tenant = Tenant(name, size, kept=kept)
        await self.room.enter(tenant)
        self.inside.append(tenant)
        assert self.room.settle(tenant, size)
        return tenant

    @property
    def names(self) -> set[str]:
        return {tenant.name for tenant in self.inside}


def use(house: House, tenant: Tenant) -> None:
    """Holds a tenant for a moment."""
    house.room.hold(tenant)
    house.room.release(tenant)


async def test_the_least_recently_used_makes_way() -> None:
    house = House(30)
    a, b, c = [await house.enter(name, 10) for name in "abc"]
    for tenant in (a, b, c, a):
        use(house, tenant)
    await house.enter("d", 10)
    assert house.names == {"a", "c", "d"}
    await house.enter("e", 20)
    assert house.names == {"a", "e"} or house.names == {"d", "e"}
    assert house.room.used == 30


async def test_without_a_bound_nobody_makes_way() -> None:
    house = House(None)
    for number in range(100):
        await house.enter(str(number), 1 << 40)
    assert len(house.inside) == 100


async def test_whoever_is_in_use_stays_until_its_holders_are_done_and_takes_no_new_ones() -> None:
    house = House(10)
    hot = await house.enter("hot", 10)
    house.room.hold(hot)
    entering = asyncio.create_task(house.enter("new", 10))
    await asyncio.sleep(0)
    assert hot.is_closed
    assert not entering.done()
    house.room.release(hot)
    await entering
    assert house.names == {"new"}


async def test_a_newcomer_who_goes_away_leaves_nobody_closed() -> None:
    house = House(10)
    hot = await house.enter("hot", 10)
    house.room.hold(hot)
    entering = asyncio.create_task(house.enter("new", 10))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(hot.wait())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    assert not hot.is_closed
    await asyncio.wait_for(waiting, 10)
    house.room.release(hot)
    assert house.names == {"hot"}


async def test_a_newcomer_who_goes_away_as_it_is_let_in_takes_no_room() -> None:
    house = House(10)
    hot = await house.enter("hot", 10)
    house.room.hold(hot)
    tenant = Tenant("new", 10)
    entering = asyncio.create_task(house.room.enter(tenant))
    await asyncio.sleep(0)
    house.at_once = False
    house.room.release(hot)
    house.let_go(hot)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    assert house.room.used == 0


async def test_what_can_never_fit_is_refused_by_name_with_both_figures() -> None:
    house = House(2 << 30)
    with pytest.raises(ModelError, match=r"model big needs 3\.0 GiB; max_model_memory is 2\.0 GiB$"):
        await house.enter("big", 3 << 30)
    await house.enter("preloaded", 1 << 30, kept=True)
    with pytest.raises(ModelError, match=r"needs 1\.5 GiB; .* 2\.0 GiB, of which preloaded models take 1\.0 GiB"):
        await house.enter("other", 3 << 29)


async def test_an_estimate_refuses_nobody_by_more_than_the_least_that_it_means() -> None:
    house = House(10)
    hot = await house.enter("hot", 6)
    guessed = Tenant("guessed", 16, least=8)
    await house.room.enter(guessed)
    assert guessed.size == 10
    assert hot not in house.inside
    house.inside.append(guessed)
    assert house.room.settle(guessed, 7)
    with pytest.raises(ModelError, match="model larger needs 11 B"):
        await house.room.enter(Tenant("larger", 22, least=11))
    with pytest.raises(ModelError, match="model measured needs 12 B"):
        await house.room.enter(Tenant("measured", 12, least=12))


async def test_preloaded_models_stay_and_may_pass_the_bound_alone() -> None:
    house = House(10)
    await house.enter("passing", 5)
    for name in "ab":
        await house.enter(name, 8, kept=True)
    assert house.names == {"a", "b"}
    with pytest.raises(ModelError, match="preloaded models take 16 B"):
        await house.enter("other", 1)


async def test_whoever_turns_out_larger_than_promised_must_ask_again() -> None:
    house = House(10)
    held = await house.enter("held", 6)
    house.room.hold(held)
    grown = Tenant("grown", 2)
    await house.room.enter(grown)
    assert not house.room.settle(grown, 5)
    house.room.leave(grown)
    grown.size = 5
    entering = asyncio.create_task(house.room.enter(grown))
    await asyncio.sleep(0)
    house.room.release(held)
    await entering
    house.inside.append(grown)
    assert house.room.settle(grown, 5)
    assert house.names == {"grown"}


async def test_the_dismissed_go_as_soon_as_nobody_holds_them_kept_or_not() -> None:
    house = House(None)
    tenant = await house.enter("kept", 5, kept=True)
    house.room.hold(tenant)
    house.room.dismiss(tenant)
    await asyncio.sleep(0)
    assert house.names == {"kept"}
    house.room.release(tenant)
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
def test_whatever_happens_the_bound_holds_and_nobody_waits_for_ever(
    steps: list[tuple[str, int, int]], with_kept: bool
) -> None:
    asyncio.run(_live(steps, with_kept))


async def _live(steps: list[tuple[str, int, int]], with_kept: bool) -> None:  # noqa: C901 (a case each)
    house = House(20, at_once=False)
    asking: dict[Tenant, asyncio.Task[None]] = {}

    async def settle_down() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        for tenant, task in list(asking.items()):
            if task.done():
                del asking[tenant]
                with contextlib.suppress(asyncio.CancelledError, ModelError):
                    task.result()
                    house.inside.append(tenant)
                    house.room.settle(tenant, tenant.size)
        kept = sum(tenant.size for tenant in house.inside if tenant.kept)
        assert house.room.used <= max(20, kept)

    def pick(tenants: list[Tenant], number: int) -> Tenant | None:
        return tenants[number % len(tenants)] if tenants else None

    for what, number, size in steps:
        if what == "ask":
            kept = with_kept and number == 0 and size < 6
            tenant = Tenant(f"model-{number}", size, least=size // 2 if number % 2 else None, kept=kept)
            asking[tenant] = asyncio.create_task(house.room.enter(tenant))
        elif what == "hold" and (open_ := pick([t for t in house.inside if not t.is_closed], number)):
            house.room.hold(open_)
        elif what == "release" and (held := pick([t for t in house.inside if t.holders], number)):
            house.room.release(held)
        elif what == "let go" and (gone := pick(house.leaving, number)):
            house.let_go(gone)
        elif what == "cancel" and (wanted := pick(list(asking), number)):
            asking[wanted].cancel()
        elif what == "dismiss" and (inside := pick(house.inside, number)):
            house.room.dismiss(inside)
        elif what == "grow" and (grown := pick([t for t in house.inside if not t.is_closed], number)):
            house.room.settle(grown, max(1, grown.size - 1))
        await settle_down()

    # Everybody is done in the end; then whoever still asks is let in or refused.
    house.at_once = True
    order = random.Random(len(steps))
    while asking:
        before = (len(asking), len(house.inside), sum(tenant.holders for tenant in house.inside))
        for tenant in order.sample(house.inside, len(house.inside)):
            while tenant.holders:
                house.room.release(tenant)
        for tenant in list(house.leaving):
            house.let_go(tenant)
        await settle_down()
        assert (len(asking), len(house.inside), 0) != before, "nobody moves any more"
