"""Quotas in Redis, which several servers share.

Each method is one script, which Redis runs as one step, on the clock of Redis: servers whose clocks differ count alike.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from latimer_server.core.access import Quota, QuotaLimits
from latimer_server.core.errors import LatimerError
from latimer_server.rpc.quotas.store import (
    CONCURRENT_RETRY_SECONDS,
    STEP_SECONDS,
    STEPS,
    Charge,
    StoreFailed,
)

RENEWAL_SECONDS = 10.0
# A lease that is not renewed for so long has ended with its server.
_LEASE_SECONDS = 35.0
_LEASE_MS = round(1_000 * _LEASE_SECONDS)
_PREFIX = "latimer:quota"
_UNLIMITED = -1
_PASSWORD = re.compile(r"//[^/@\s]*@")

# The number of the current step, and a window of one quota: a hash with the amount of each step. A step of the future
# was counted before the clock of Redis went back, and is forgotten.
_WINDOW = """
local function milliseconds()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function take(key, limit, amount, step_ms, steps)
    local now = milliseconds()
    local step = math.floor(now / step_ms)
    local cells = redis.call('HGETALL', key)
    local used, kept = 0, {}
    for at = 1, #cells, 2 do
        local cell = tonumber(cells[at])
        if cell < step - steps or cell > step then
            redis.call('HDEL', key, cells[at])
        else
            used = used + tonumber(cells[at + 1])
            kept[#kept + 1] = {cell, tonumber(cells[at + 1])}
        end
    end
    local excess = used + amount - limit
    if excess <= 0 then
        if amount > 0 then
            redis.call('HINCRBY', key, string.format('%.0f', step), string.format('%.0f', amount))
            redis.call('PEXPIRE', key, (steps + 2) * step_ms)
        end
        return {1, string.format('%.0f', used + amount), 0}
    end
    table.sort(kept, function(one, other) return one[1] < other[1] end)
    local last = step
    for _, cell in ipairs(kept) do
        last = cell[1]
        excess = excess - cell[2]
        if excess <= 0 then break end
    end
    return {0, string.format('%.0f', used), math.max(0, (last + 1 + steps) * step_ms - now)}
end
"""
_CHARGE = _WINDOW + "return take(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))"
_BEGIN = (
    _WINDOW
    + """
local requests, concurrent = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = milliseconds()
if concurrent >= 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    -- A lease that ends later than any could was given before the clock went back.
    redis.call('ZREMRANGEBYSCORE', KEYS[2], now + 2 * tonumber(ARGV[4]), '+inf')
    local held = redis.call('ZCARD', KEYS[2])
    if held >= concurrent then return {-1, tostring(held), 0} end
end
local taken = {1, '0', 0}
if requests >= 0 then taken = take(KEYS[1], requests, 1, tonumber(ARGV[5]), tonumber(ARGV[6])) end
if concurrent >= 0 and taken[1] == 1 then
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[3])
    redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return taken
"""
)
_RENEW = """
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""


class QuotaStoreError(LatimerError):
    """The quota store of the settings cannot be used."""


class RedisStore:
    """Counts in Redis. `seconds`: how long a step waits for Redis.

    Redis is not asked before the first call. Raises `QuotaStoreError` if the address or the library cannot be used.
    """

    is_remote = True

    def __init__(self, url: str, seconds: float) -> None:
        try:
            from redis import ConnectionPool, Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            rule = "needs the package redis: pip install redis"
            raise QuotaStoreError(f"quota_store: {rule}") from error
        try:
            # A retry would double the time for which a call waits; the next call tries again.
            pool = ConnectionPool.from_url(
                url.replace("redis+unix://", "unix://"),
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise QuotaStoreError(f"quota_store: is no address of Redis: {hide_password(str(error))}") from None
        connection = Redis(connection_pool=pool)
        self._run_begin: Callable[..., Any] = connection.register_script(_BEGIN)
        self._run_charge: Callable[..., Any] = connection.register_script(_CHARGE)
        self._run_renew: Callable[..., Any] = connection.register_script(_RENEW)
        self._remove: Callable[..., Any] = connection.zrem
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}  # the key of each lease

    def begin(self, key: str, limits: QuotaLimits, lease: str) -> Charge:
        """Takes a request and a lease."""
        requests = _UNLIMITED if limits.requests is None else limits.requests
        concurrent = _UNLIMITED if limits.concurrent is None else limits.concurrent
        keys = [_name(key, Quota.REQUESTS), _name(key, Quota.CONCURRENT)]
        step = round(1_000 * STEP_SECONDS)
        granted, used, wait = _ask(lambda: self._run_begin(keys, [requests, concurrent, lease, _LEASE_MS, step, STEPS]))
        if granted < 0:
            return Charge(Quota.CONCURRENT, int(used), CONCURRENT_RETRY_SECONDS)
        if granted and limits.concurrent is not None:
            with self._lock:
                self._held[lease] = key
        return Charge(None if granted else Quota.REQUESTS, int(used), wait / 1_000)

    def charge(self, key: str, limit: int, characters: int) -> Charge:
        """Takes characters."""
        arguments = [limit, characters, round(1_000 * STEP_SECONDS), STEPS]
        granted, used, wait = _ask(lambda: self._run_charge([_name(key, Quota.CHARACTERS)], arguments))
        return Charge(None if granted else Quota.CHARACTERS, int(used), wait / 1_000)

    def end(self, key: str, lease: str) -> None:
        """Gives a lease back. If Redis does not answer, the lease ends by itself."""
        with self._lock:
            holder = self._held.pop(lease, None)
        if holder:
            with suppress(StoreFailed):
                _ask(lambda: self._remove(_name(key, Quota.CONCURRENT), lease))

    def forget(self, lease: str) -> None:
        """Gives a lease up without asking Redis."""
        with self._lock:
            self._held.pop(lease, None)

    def renew(self) -> None:
        """Keeps the leases of calls in work."""
        with self._lock:
            held = dict(self._held)
        for lease, key in held.items():
            keys = [_name(key, Quota.CONCURRENT)]
            _ask(lambda keys=keys, lease=lease: self._run_renew(keys, [_LEASE_MS, lease]))  # type: ignore[misc]


def hide_password(text: str) -> str:
    """Returns a text with the user and password of each address replaced."""
    return _PASSWORD.sub("//***@", text)


def _name(key: str, quota: Quota) -> str:
    # Braces keep the names of one key on one node of a cluster.
    return f"{_PREFIX}:{{{key}}}:{quota}"


def _ask(command: Callable[[], Any]) -> Any:  # noqa: ANN401 (each command has its own answer)
    from redis import RedisError

    try:
        return command()
    except (RedisError, OSError) as error:
        # Only the first line: errors of scripts quote the script.
        lines = hide_password(str(error)).splitlines() or [""]
        raise StoreFailed(f"{type(error).__name__}: {lines[0][:200]}") from None
