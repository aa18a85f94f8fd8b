"""Quotas in the memory of this process, on the monotonic clock: a wall clock that jumps changes nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from latimer_server.core.access import Quota, QuotaLimits
from latimer_server.rpc.quotas.store import CONCURRENT_RETRY_SECONDS, STEP_SECONDS, STEPS, Charge


@dataclass
class _Window:
    """The amounts of the last 60 seconds by step, oldest first, and their sum."""

    steps: deque[tuple[int, int]] = field(default_factory=deque)
    used: int = 0

    def advance(self, step: int) -> None:
        """Forgets the steps that have left the window."""
        steps = self.steps
        while steps and steps[0][0] < step - STEPS:
            self.used -= steps.popleft()[1]

    def add(self, step: int, amount: int) -> None:
        steps = self.steps
        if steps and steps[-1][0] == step:
            amount_before = steps.pop()[1]
            steps.append((step, amount_before + amount))
        elif amount:
            steps.append((step, amount))
        self.used += amount

    def find_step(self, excess: int) -> int:
        """Returns the step with whose end at least `excess` has left the window."""
        for step, amount in self.steps:
            excess -= amount
            if excess <= 0:
                return step
        return self.steps[-1][0] if self.steps else 0


class LocalStore:
    """Counts in memory. `clock`: monotonic seconds."""

    is_remote = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, Quota], _Window] = {}
        self._leases: dict[str, str] = {}  # the key of each lease
        self._concurrent: Counter[str] = Counter()

    def begin(self, key: str, limits: QuotaLimits, lease: str) -> Charge:
        """Takes a request and a lease."""
        with self._lock:
            if limits.concurrent is not None and self._concurrent[key] >= limits.concurrent:
                return Charge(Quota.CONCURRENT, self._concurrent[key], CONCURRENT_RETRY_SECONDS)
            charged = Charge(None, 0)
            if limits.requests is not None:
                charged = self._take(key, Quota.REQUESTS, limits.requests, 1)
            if limits.concurrent is not None and charged.refused is None:
                self._leases[lease] = key
                self._concurrent[key] += 1
            return charged

    def charge(self, key: str, limit: int, characters: int) -> Charge:
        """Takes characters."""
        with self._lock:
            return self._take(key, Quota.CHARACTERS, limit, characters)

    def end(self, key: str, lease: str) -> None:  # noqa: ARG002 (leases know their key here)
        """Gives a lease back."""
        with self._lock:
            holder = self._leases.pop(lease, None)
            if holder:
                self._concurrent[holder] -= 1
                if not self._concurrent[holder]:
                    del self._concurrent[holder]

    def forget(self, lease: str) -> None:
        """Gives a lease back."""
        self.end("", lease)

    def renew(self) -> None:
        """Does nothing: leases of this process end with it."""

    def _take(self, key: str, quota: Quota, limit: int, amount: int) -> Charge:
        seconds = self._clock()
        step = int(seconds / STEP_SECONDS)
        window = self._windows.get((key, quota))
        if window is None:
            window = self._windows[key, quota] = _Window()
        window.advance(step)
        excess = window.used + amount - limit
        if excess > 0:
            ends = (window.find_step(excess) + 1 + STEPS) * STEP_SECONDS
            return Charge(quota, window.used, max(0.0, ends - seconds))
        window.add(step, amount)
        return Charge(None, window.used)
