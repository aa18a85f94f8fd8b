"""Compares ways to count a quota: `python -m benchmarks.micro.quotas`.

Prints the most that a key gets in any 60 seconds, in parts of its quota, if it takes a little, all of the rest at the
end of a minute, and then asks ten times a second; and the CPU time of one request with 40 characters. The others are
the strategies of the library `limits` in memory. Then prints the CPU time of all that keys and quotas add to a call.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from unittest import mock

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import STRATEGIES
from rich.console import Console
from rich.table import Table

from latimer.v1 import translation_pb2 as pb
from latimer_server.config.key_file import digest_secret
from latimer_server.core.access import Principal, QuotaLimits
from latimer_server.rpc.auth import Authenticator, Credential, Credentials
from latimer_server.rpc.call_access import CallAccess
from latimer_server.rpc.quotas.local_store import LocalStore
from latimer_server.rpc.quotas.meter import QuotaMeter

_QUOTA, _CHARACTERS, _AMOUNT = 1_000, 10_000_000, 40
_SECRET = "latimer_" + 43 * "x"
_STEP = _QUOTA // 100
_BEGIN = 600_000.0  # a whole minute on the clock
_RUNS, _REPEATS = 200, 100

Ask = Callable[[int, int], bool]  # takes an amount and the quota; False if it is refused


def main() -> None:
    """Measures all ways and prints the table."""
    table = Table("", "most in any 60 s", "CPU us a request")
    for name, make in {"steps (ours)": _make_steps, **{name: _make_library(name) for name in STRATEGIES}}.items():
        cost = _measure(make(time.monotonic))
        table.add_row(name, f"{_attack(make):.2f}", f"{cost:.1f}")
    console = Console(width=100)
    console.print(table)
    console.print(f"look-up, request, place, characters and metadata of a call with a key: {_measure_path():.1f} us")


def _make_steps(clock: Callable[[], float]) -> Ask:
    store = LocalStore(clock)
    return lambda amount, quota: store.charge("key", quota, amount).refused is None


def _make_library(name: str) -> Callable[[Callable[[], float]], Ask]:
    def make(clock: Callable[[], float]) -> Ask:  # noqa: ARG001 (the library reads the time of day)
        limiter = STRATEGIES[name](MemoryStorage())
        return lambda amount, quota: limiter.hit(RateLimitItemPerMinute(quota), "key", cost=amount)

    return make


def _attack(make: Callable[[Callable[[], float]], Ask]) -> float:
    """Returns the most that was granted in any 60 seconds, in parts of the quota."""
    now = _BEGIN

    def read_clock() -> float:
        return now

    with mock.patch("time.time", read_clock):
        ask = make(read_clock)
        ask(_STEP, _QUOTA)
        now += 59.5
        granted: deque[tuple[float, int]] = deque()
        most = 0
        while now < _BEGIN + 240:
            while ask(_STEP, _QUOTA):
                granted.append((now, _STEP))
            while granted and granted[0][0] <= now - 60:
                granted.popleft()
            most = max(most, sum(amount for _, amount in granted))
            now += 0.1
    return most / _QUOTA


def _measure_path() -> float:
    """Returns the CPU microseconds that keys and quotas add to a call in the cheapest of many runs."""
    limits = QuotaLimits(requests=10**9, characters=10**12, concurrent=100)
    others = {bytes([n]) * 32: Credential(Principal("key:other", f"other-{n}")) for n in range(200)}
    digest = digest_secret(_SECRET)
    own = Credential(Principal("key:own", "own", limits=limits), digest)
    authenticator = Authenticator(Credentials({**others, digest: own}, are_required=True))
    meter = QuotaMeter(LocalStore())
    message = pb.TranslateTextRequest(contents=["x" * _AMOUNT], target_language_codes=["pt"])
    metadata = {"authorization": f"Bearer {_SECRET}"}

    def call() -> None:
        access = CallAccess(authenticator, "ipv4:1", metadata)
        access.open()
        use = meter.make_use(access)
        if use:
            use.begin()
            access.renew()
            use.charge(message)
            use.end()
            use.describe()

    return _time(call)


def _measure(ask: Ask) -> float:
    """Returns the CPU microseconds of a request."""
    return _time(lambda: ask(_AMOUNT, _CHARACTERS))


def _time(run: Callable[[], object]) -> float:
    """Returns the CPU microseconds of a run in the cheapest of many, those of other threads left out."""
    costs = []
    for _ in range(_RUNS):
        began = time.thread_time_ns()
        for _ in range(_REPEATS):
            run()
        costs.append((time.thread_time_ns() - began) / 1e3 / _REPEATS)
    return min(costs)


if __name__ == "__main__":
    main()
