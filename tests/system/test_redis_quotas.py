"""Quotas in a real Redis: several servers count together, and go on as the setting says when it is gone, slow or full.

Needs `redis-server` (apt-get install redis-server).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError  # noqa: A004 (the library's name)

from latimer import AsyncClient, OverloadedError
from latimer_server.core.access import Quota, QuotaLimits, Scope
from latimer_server.core.errors import QuotaUnknown
from latimer_server.rpc.quotas.guarded_store import GuardedStore
from latimer_server.rpc.quotas.redis_store import RedisStore
from latimer_server.rpc.quotas.store import StoreFailed
from tests.fakes import serve_fakes
from tests.integration.test_keys import EN_PT, make_key
from tests.native_builds import find_tool


class Server:
    """A Redis on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        command = [find_tool("redis-server"), "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
        self.client = Redis(unix_socket_path=str(self.socket))
        self.url = f"redis+unix://{self.socket}"
        end = time.monotonic() + 10
        while not self.answers() and time.monotonic() < end:
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except ConnectionError:
            return False

    def stop(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


def test_two_servers_count_together_and_never_exceed_the_quota(redis: Server) -> None:
    stores = [RedisStore(redis.url, 5.0) for _ in range(2)]
    with ThreadPoolExecutor(8) as threads:
        charges = list(threads.map(lambda number: stores[number % 2].charge("key", 1_000, 7), range(400)))
    assert sum(charge.refused is None for charge in charges) == 142
    assert max(charge.used for charge in charges) == 994
    refused = stores[0].charge("key", 1_000, 7)
    assert refused.refused is Quota.CHARACTERS
    assert 50 < refused.wait <= 60.5


def test_a_window_is_forgotten_after_its_time_and_one_of_the_future_at_once(redis: Server) -> None:
    store = RedisStore(redis.url, 5.0)
    assert store.charge("key", 10, 10).refused is None
    (name,) = redis.client.keys("latimer:quota:*")
    assert 60_000 < redis.client.pttl(name) <= 61_000
    (step,) = redis.client.hkeys(name)
    for moved in (int(step) - 121, int(step) + 7_200):
        redis.client.delete(name)
        redis.client.hset(name, str(moved), 10)
        assert store.charge("key", 10, 10).refused is None


def test_requests_and_calls_at_a_time_are_taken_together(redis: Server) -> None:
    stores = [RedisStore(redis.url, 5.0) for _ in range(2)]
    limits = QuotaLimits(requests=3, concurrent=1)
    assert stores[0].begin("key", limits, "a").used == 1
    assert stores[1].begin("key", limits, "b").refused is Quota.CONCURRENT
    stores[0].end("key", "a")
    assert stores[1].begin("key", limits, "b").used == 2
    stores[1].end("key", "b")
    assert stores[0].begin("key", limits, "c").used == 3
    stores[0].end("key", "c")
    assert stores[0].begin("key", limits, "d").refused is Quota.REQUESTS


def test_the_leases_of_a_server_that_ended_expire_and_others_are_renewed(redis: Server) -> None:
    ended, running = (RedisStore(redis.url, 5.0) for _ in range(2))
    limits = QuotaLimits(concurrent=2)
    ended.begin("key", limits, "a")
    running.begin("key", limits, "b")
    (name,) = redis.client.keys("latimer:quota:*concurrent")
    for lease in ("a", "b"):
        redis.client.zincrby(name, -40_000, lease)
    running.renew()
    assert running.begin("key", limits, "c").refused is None
    assert redis.client.zrange(name, 0, -1) == [b"b", b"c"]


@pytest.mark.parametrize("fails_open", [True, False])
@pytest.mark.parametrize("fault", ["gone", "frozen", "full", "password"])
def test_a_redis_that_fails_is_noticed_and_used_again_when_it_is_back(
    redis: Server, fault: str, fails_open: bool
) -> None:
    now = 0.0
    store = GuardedStore(RedisStore(redis.url, 0.2), fails_open=fails_open, clock=lambda: now)
    assert store.charge("key", 10, 4).used == 4
    if fault == "gone":
        redis.process.kill()
        redis.process.wait()
    elif fault == "frozen":
        redis.process.send_signal(signal.SIGSTOP)
    elif fault == "full":
        redis.client.config_set("maxmemory", "1")
    else:
        redis.client.config_set("requirepass", "secret")
        redis.client.client_kill_filter(_type="normal", skipme=True)
    if fails_open:
        assert store.charge("key", 10, 4).used == 4
    else:
        with pytest.raises(QuotaUnknown):
            store.charge("key", 10, 4)
    if fault == "frozen":
        redis.process.send_signal(signal.SIGCONT)
    elif fault == "full":
        redis.client.config_set("maxmemory", "0")
    elif fault == "password":
        redis.client.config_set("requirepass", "")
    else:
        return
    now = 10.0
    # A frozen Redis may still count the call that gave up on it.
    assert store.charge("key", 10, 1).used in (5, 9)


async def test_two_servers_share_the_quota_of_a_key(redis: Server, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"quota_store": redis.url, "quota_store_timeout_seconds": 5.0}
    keys = tmp_path / "keys.toml"
    secret = make_key(keys, "shop", Scope.TRANSLATE, requests_per_minute=3, characters_per_minute=1_000, concurrent=2)
    async with serve_fakes(keys=keys, **settings) as first, serve_fakes(keys=keys, **settings) as second:
        refusals = []
        for server in (first, second) * 3:
            async with AsyncClient(f"127.0.0.1:{server.port}", token=secret) as client:
                try:
                    await client.translate("A text.", **EN_PT)
                except OverloadedError as error:
                    refusals.append(error.reason)
        assert refusals == ["QUOTA_REQUESTS"] * 3


def test_an_error_of_redis_is_one_line_without_the_script(redis: Server) -> None:
    store = RedisStore(redis.url, 5.0)
    store.charge("key", 10, 1)
    (name,) = redis.client.keys("latimer:quota:*")
    redis.client.delete(name)
    redis.client.set(name, "text")
    with pytest.raises(StoreFailed) as failed:
        store.charge("key", 10, 1)
    assert "WRONGTYPE" in str(failed.value)
    assert "\n" not in str(failed.value)
