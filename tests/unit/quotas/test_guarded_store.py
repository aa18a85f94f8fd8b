"""A quota store that fails: calls are counted by this server alone or refused, as the setting says, and one of them at
a time tries the store again."""

from __future__ import annotations

import pytest

from latimer_server.core.access import Quota, QuotaLimits
from latimer_server.core.errors import QuotaUnknown
from latimer_server.rpc.quotas.guarded_store import GuardedStore
from latimer_server.rpc.quotas.local_store import LocalStore
from latimer_server.rpc.quotas.store import Charge, StoreFailed

LIMITS = QuotaLimits(concurrent=1)


class Remote(LocalStore):
    """A remote store. `fails`: whether it raises. `asked`: how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.asked = 0

    def begin(self, key: str, limits: QuotaLimits, lease: str) -> Charge:
        self.ask()
        return super().begin(key, limits, lease)

    def charge(self, key: str, limit: int, characters: int) -> Charge:
        self.ask()
        return super().charge(key, limit, characters)

    def renew(self) -> None:
        self.ask()

    def ask(self) -> None:
        self.asked += 1
        if self.fails:
            raise StoreFailed("ConnectionError: refused")


class Guard:
    """A guarded store with its remote store and its clock."""

    def __init__(self, *, fails_open: bool) -> None:
        self.remote = Remote()
        self.now = 0.0
        self.store = GuardedStore(self.remote, fails_open=fails_open, clock=lambda: self.now)


def test_while_the_store_fails_this_server_counts_alone() -> None:
    guard = Guard(fails_open=True)
    assert guard.store.charge("key", 10, 8).used == 8
    guard.remote.fails = True
    assert guard.store.charge("key", 10, 8).used == 8
    assert guard.store.charge("key", 10, 8).refused is Quota.CHARACTERS
    guard.remote.fails = False
    guard.now += 2
    assert guard.store.charge("key", 10, 1).used == 9


def test_while_the_store_fails_calls_are_refused_if_the_setting_says_so() -> None:
    guard = Guard(fails_open=False)
    guard.remote.fails = True
    for _ in range(2):
        with pytest.raises(QuotaUnknown):
            guard.store.begin("key", LIMITS, "a")
    guard.remote.fails = False
    with pytest.raises(QuotaUnknown):
        guard.store.begin("key", LIMITS, "a")
    guard.now += 2
    assert guard.store.begin("key", LIMITS, "a").refused is None


def test_a_store_that_fails_is_asked_once_in_two_seconds_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    guard = Guard(fails_open=True)
    guard.remote.fails = True
    for _ in range(100):
        guard.store.charge("key", 10, 0)
        guard.now += 0.1
    assert guard.remote.asked == 5
    guard.remote.fails = False
    guard.now += 2
    guard.store.charge("key", 10, 0)
    assert [record.message for record in caplog.records] == ["quota store failed", "quota store answers again"]


def test_a_lease_ends_in_the_store_that_gave_it() -> None:
    guard = Guard(fails_open=True)
    assert guard.store.begin("key", LIMITS, "remote").refused is None
    guard.remote.fails = True
    assert guard.store.begin("key", LIMITS, "local").refused is None
    assert guard.store.begin("key", LIMITS, "more").refused is Quota.CONCURRENT
    guard.store.end("key", "remote")
    assert guard.store.begin("key", LIMITS, "more").refused is Quota.CONCURRENT
    guard.store.end("key", "local")
    assert guard.store.begin("key", LIMITS, "more").refused is None


def test_a_failure_while_leases_are_renewed_is_noted() -> None:
    guard = Guard(fails_open=True)
    guard.remote.fails = True
    guard.store.renew()
    guard.store.renew()
    assert guard.remote.asked == 1
