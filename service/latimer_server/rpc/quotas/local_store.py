"""Quotas in the memory of this process, on the monotonic clock: a wall clock that jumps changes nothing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from latimer_server.core.access import Quota, QuotaLimits
from latimer_server.rpc.quotas.store import CONCURRENT_RETRY_SECONDS, STEP_SECONDS, STEPS, Charge

_UNLIMITED = Charge(None, 0)


@dataclass(slots=True)
class _Window:
    """The amounts of the last 60 seconds by step, and their sum.

    `steps`: the steps before the last one that has an amount, oldest first. `step`, `amount`: that last one.
    """

    steps: deque[tuple[int, int]] = field(default_factory=deque)
    step: int = 0
    amount: int = 0
    used: int = 0

    def advance(self, step: int) -> None:
        """Begins a step, and forgets those that have left the window."""
        if step != self.step:
            if self.amount:
                self.steps.append((self.step, self.amount))
            self.step, self.amount = step, 0
        steps = self.steps
        while steps and steps[0][0] < step - STEPS:
            self.used -= steps.popleft()[1]

    def find_step(self, excess: int) -> int:
        """Returns the step with whose end at least `excess` has left the window."""
        for step, amount in (*self.steps, (self.step, self.amount)):
            excess -= amount
            if excess <= 0:
                return step
        return self.step


class LocalStore:
    """Counts in memory. `clock`: monotonic seconds."""

    is_remote = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Windows by key. Tuples with a `Quota` would be hashed by code in Python, at each call.
        self._requests: dict[str, _Window] = {}
        self._characters: dict[str, _Window] = {}
        self._leases: dict[str, str] = {}  # the key of each lease
        self._concurrent: dict[str, int] = {}  # the number of leases of each key that has some

    def begin(self, key: str, limits: QuotaLimits, lease: str) -> Charge:
        """Takes a request and a lease."""
        with self._lock:
            if limits.concurrent is not None:
                held = self._concurrent.get(key, 0)
                if held >= limits.concurrent:
                    return Charge(Quota.CONCURRENT, held, CONCURRENT_RETRY_SECONDS)
            charged = _UNLIMITED
            if limits.requests is not None:
                charged = self._take(self._requests, Quota.REQUESTS, key, limits.requests, 1)
            if limits.concurrent is not None and charged.refused is None:
                self._leases[lease] = key
                self._concurrent[key] = held + 1
            return charged

    def charge(self, key: str, limit: int, characters: int) -> Charge:
        """Takes characters."""
        with self._lock:
            return self._take(self._characters, Quota.CHARACTERS, key, limit, characters)

    def end(self, key: str, lease: str) -> None:  # noqa: ARG002 (leases know their key here)
        """Gives a lease back."""
        with self._lock:
            holder = self._leases.pop(lease, None)
            if holder is not None:
                self._concurrent[holder] -= 1
                if not self._concurrent[holder]:
                    del self._concurrent[holder]

    def forget(self, lease: str) -> None:
        """Gives a lease back."""
        self.end("", lease)

    def renew(self) -> None:
        """Does nothing: leases of this process end with it."""

    def _take(self, windows: dict[str, _Window], quota: Quota, key: str, limit: int, amount: int) -> Charge:
        seconds = self._clock()
        step = int(seconds / STEP_SECONDS)
        window = windows.get(key)
        if window is None:
            window = windows[key] = _Window(step=step)
        window.advance(step)
        used = window.used + amount
        if used > limit:
            ends = (window.find_step(used - limit) + 1 + STEPS) * STEP_SECONDS
            return Charge(quota, window.used, max(0.0, ends - seconds))
        window.used = used
        window.amount += amount
        return Charge(None, used)
