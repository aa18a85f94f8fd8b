"""Quotas in memory: what a key gets in any 60 seconds, when a refused request may come again, and calls at a time."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.core.access import Quota, QuotaLimits
from latimer_server.rpc.quotas.local_store import LocalStore

LIMIT = 1_000


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 40), st.integers(0, LIMIT)), max_size=60))
def test_no_60_seconds_have_more_than_the_quota_whenever_requests_come(requests: list[tuple[float, int]]) -> None:
    clock = Clock()
    store = LocalStore(clock)
    granted: deque[tuple[float, int]] = deque()
    for pause, amount in requests:
        clock.seconds += pause
        if store.charge("key", LIMIT, amount).refused is None:
            granted.append((clock.seconds, amount))
        while granted and granted[0][0] <= clock.seconds - 60:
            granted.popleft()
        assert sum(amount for _, amount in granted) <= LIMIT


def test_a_key_that_always_asks_gets_99_percent_of_its_quota() -> None:
    clock = Clock()
    store = LocalStore(clock)
    granted, minutes = 0, 100
    for _ in range(minutes * 60):
        granted += 50 * (store.charge("key", LIMIT, 50).refused is None)
        clock.seconds += 1
    assert 0.99 * LIMIT * minutes <= granted <= LIMIT * (minutes + 1)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(0, LIMIT // 3)), max_size=20),
    st.integers(1, LIMIT),
)
def test_a_refused_request_is_granted_after_the_time_to_wait_and_not_before(
    requests: list[tuple[float, int]], amount: int
) -> None:
    clock = Clock()
    store = LocalStore(clock)
    for pause, taken in requests:
        clock.seconds += pause
        store.charge("key", LIMIT, taken)
    charge = store.charge("key", LIMIT, amount)
    if charge.refused is None:
        return
    assert 0 < charge.wait <= 60.5
    clock.seconds += charge.wait - 0.01
    assert store.charge("key", LIMIT, amount).refused is Quota.CHARACTERS
    clock.seconds += 0.02
    assert store.charge("key", LIMIT, amount).refused is None


def test_a_refused_request_takes_nothing() -> None:
    store = LocalStore(Clock())
    assert store.charge("key", 10, 6).used == 6
    assert store.charge("key", 10, 5).refused is Quota.CHARACTERS
    assert store.charge("key", 10, 4).used == 10


def test_keys_and_quotas_are_counted_apart() -> None:
    store = LocalStore(Clock())
    limits = QuotaLimits(requests=1)
    assert store.begin("one", limits, "a").refused is None
    assert store.begin("one", limits, "b").refused is Quota.REQUESTS
    assert store.begin("other", limits, "c").refused is None
    assert store.charge("one", 5, 5).refused is None


def test_a_place_among_the_calls_in_work_is_free_again_when_its_call_ends() -> None:
    store = LocalStore(Clock())
    limits = QuotaLimits(concurrent=2)
    assert [store.begin("key", limits, lease).refused for lease in "abc"] == [None, None, Quota.CONCURRENT]
    store.end("key", "c")
    assert store.begin("key", limits, "c").refused is Quota.CONCURRENT
    store.end("key", "a")
    assert store.begin("key", limits, "c").refused is None


def test_a_call_that_is_refused_for_the_calls_at_a_time_counts_as_no_request() -> None:
    store = LocalStore(Clock())
    limits = QuotaLimits(requests=2, concurrent=1)
    assert store.begin("key", limits, "a").used == 1
    assert store.begin("key", limits, "b").refused is Quota.CONCURRENT
    store.end("key", "a")
    assert store.begin("key", limits, "b").used == 2
    store.end("key", "b")
    assert store.begin("key", limits, "c").refused is Quota.REQUESTS
    assert store.begin("key", QuotaLimits(concurrent=1), "d").refused is None
