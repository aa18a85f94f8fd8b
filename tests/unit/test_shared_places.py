"""Places of streams: shared by callers and connections, and never taken back and forth."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from latimer_server.core.errors import OverloadBound, Overloaded
from latimer_server.rpc.shared_places import SharedPlaces


class Watch:
    """A watch that notes that it has lost its place."""

    def __init__(self) -> None:
        self.is_open = True

    def cancel(self) -> None:
        self.is_open = False


class House:
    """The watches of a test, which stay open until its end."""

    def __init__(self, most: int, most_per_connection: int) -> None:
        self._places = SharedPlaces(
            most, most_per_connection, "health watches", "raise max_watches", OverloadBound.WATCHES
        )
        self.open = ExitStack()

    def watch(self, caller: str, connection: str) -> Watch:
        watch = Watch()
        self.open.enter_context(self._places.hold(caller, connection, watch))
        return watch


@pytest.mark.parametrize("caller", ["key:shop", "ipv4:10.0.0.1"])
def test_more_programs_of_one_caller_than_places_do_not_displace_each_other(caller: str) -> None:
    house = House(64, 64)
    held = [house.watch(caller, f"ipv4:10.0.0.1:{port}") for port in range(64)]
    for port in range(64, 70):
        with pytest.raises(Overloaded, match=r"all 64 places .* are held; raise max_watches"):
            house.watch(caller, f"ipv4:10.0.0.1:{port}")
    assert all(watch.is_open for watch in held)


def test_another_caller_takes_a_place_of_the_one_with_most_and_they_then_stay() -> None:
    house = House(4, 4)
    held = [house.watch("key:many", f"c{number}") for number in range(4)]
    few = [house.watch("key:few", "d1"), house.watch("key:few", "d2")]
    assert [watch.is_open for watch in held] == [False, False, True, True]
    for caller in ("key:many", "key:few"):
        with pytest.raises(Overloaded):
            house.watch(caller, "new")
    assert all(watch.is_open for watch in few)


def test_a_connection_with_many_watches_loses_its_oldest_to_another_one_of_its_caller() -> None:
    house = House(4, 4)
    held = [house.watch("key:shop", "leaking") for _ in range(4)]
    others = [house.watch("key:shop", connection) for connection in ("a", "b")]
    assert [watch.is_open for watch in held] == [False, False, True, True]
    third = house.watch("key:shop", "c")
    assert [watch.is_open for watch in held] == [False, False, False, True]
    with pytest.raises(Overloaded):
        house.watch("key:shop", "d")
    assert all(watch.is_open for watch in (*others, third))


def test_two_connections_without_keys_do_not_hold_all_places() -> None:
    house = House(4, 2)
    held = [house.watch("ipv4:10.0.0.1", f"ipv4:10.0.0.1:{port}") for port in (1, 1, 2, 2)]
    with pytest.raises(Overloaded, match="this connection has 2 open health watches"):
        house.watch("ipv4:10.0.0.1", "ipv4:10.0.0.1:1")
    later = [house.watch(f"ipv4:10.0.0.{end}", f"ipv4:10.0.0.{end}:9") for end in (1, 2)]
    assert sum(watch.is_open for watch in held) == 2
    assert all(watch.is_open for watch in later)


def test_a_connection_that_holds_its_share_replaces_its_own_oldest_watch() -> None:
    house = House(4, 4)
    others = [house.watch("key:other", connection) for connection in ("a", "b")]
    first, second = house.watch("key:shop", "c"), house.watch("key:shop", "c")
    third = house.watch("key:shop", "c")
    assert [watch.is_open for watch in (*others, first, second, third)] == [True, True, False, True, True]


def test_a_place_is_free_once_its_watch_has_ended() -> None:
    house = House(2, 2)
    house.watch("a", "a:1")
    house.watch("b", "b:1")
    with pytest.raises(Overloaded):
        house.watch("c", "c:1")
    house.open.close()
    assert house.watch("c", "c:1").is_open
