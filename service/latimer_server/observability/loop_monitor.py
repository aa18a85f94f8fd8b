"""Loop monitor: measures the delay of the event loop and the use of the cores over the last seconds."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_TICK_SECONDS = 0.25
_WINDOW_SECONDS = 15.0


@dataclass(frozen=True)
class _Tick:
    """One wake-up: its time, its delay, and the core seconds that were used until then (all in seconds)."""

    at: float
    late: float
    core_seconds: float


class LoopMonitor:
    """Wakes up four times a second on the event loop. Its readings may be taken from any thread.

    `read_core_seconds`: returns the seconds that cores were held by batches so far, summed over the `cores`.
    """

    def __init__(
        self, read_core_seconds: Callable[[], float], cores: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read_core_seconds = read_core_seconds
        self._cores = cores
        self._clock = clock
        self._expected = math.inf  # no wake-up is due before `run`
        self._ticks: deque[_Tick] = deque(
            [_Tick(clock(), 0.0, read_core_seconds())], maxlen=round(_WINDOW_SECONDS / _TICK_SECONDS)
        )

    async def run(self) -> None:
        """Measures until it is cancelled."""
        while True:
            self.expect(self._clock() + _TICK_SECONDS)
            await asyncio.sleep(_TICK_SECONDS)
            self.tick()

    def expect(self, due: float) -> None:
        """Sets the time at which the next wake-up is due, a clock reading in seconds."""
        self._expected = due

    def tick(self) -> None:
        """Records a wake-up that happens now."""
        now = self._clock()
        self._ticks.append(_Tick(now, max(0.0, now - self._expected), self._read_core_seconds()))

    @property
    def overdue_seconds(self) -> float:
        """The seconds by which the next wake-up is late; a loop that hangs has a growing number."""
        return max(0.0, self._clock() - self._expected)

    @property
    def lag_seconds(self) -> float:
        """The longest delay in the last 15 seconds, that of a loop that hangs now included."""
        oldest = self._clock() - _WINDOW_SECONDS
        return max([self.overdue_seconds, *(tick.late for tick in list(self._ticks) if tick.at >= oldest)])

    @property
    def busy_ratio(self) -> float:
        """The share of the cores that batches held in the last 15 seconds, from 0 to 1."""
        first = self._ticks[0]
        seconds = self._clock() - first.at
        if seconds <= 0:
            return 0.0
        return min(1.0, max(0.0, (self._read_core_seconds() - first.core_seconds) / (self._cores * seconds)))
