"""Compares ways to count a quota: `python -m benchmarks.micro.quotas`.

Prints the most that a key gets in any 60 seconds, in parts of its quota, if it takes a little, all of the rest at the
end of a minute, and then asks ten times a second; and the CPU time of one request with 40 characters. The others are
the strategies of the library `limits` in memory.
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

from latimer_server.rpc.quotas.local_store import LocalStore

_QUOTA, _CHARACTERS, _AMOUNT = 1_000, 10_000_000, 40
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
    Console(width=100).print(table)


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


def _measure(ask: Ask) -> float:
    """Returns the CPU microseconds of a request in the cheapest of many runs, those of other threads left out."""
    costs = []
    for _ in range(_RUNS):
        began = time.thread_time_ns()
        for _ in range(_REPEATS):
            ask(_AMOUNT, _CHARACTERS)
        costs.append((time.thread_time_ns() - began) / 1e3 / _REPEATS)
    return min(costs)


if __name__ == "__main__":
    main()
