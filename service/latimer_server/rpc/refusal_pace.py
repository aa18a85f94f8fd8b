"""The pace of refusals: callers that retry at once must not take the CPU time of those that are served."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import grpc

# Refusals a second for each core. One takes about 1 ms of CPU in the server, and as much in a caller.
_PER_CORE = 100.0
# Refusals that are sent at once even if they come at the same time.
_BURST = 256.0
_MOST_SECONDS = 1.0
# The share of the time until its deadline that a refusal may take.
_DEADLINE_SHARE = 0.75
# A caller that was not refused for so long is refused at once.
_REMEMBERED_SECONDS = 1.0
_MOST_REMEMBERED = 4_096
# Refusals that may wait; each holds a thread.
MOST_WAITING = 512


class RefusalPace:
    """Sends refusals at a steady pace when there are many. Thread-safe. `cores`: those of the machine.

    Up to 100 refusals a second and core, and bursts of 256, are sent at once. Further ones wait for their turn, at most
    a second and three quarters of the time until their deadline. A client that retries without a pause is thus held to
    a pace that leaves the cores to the model. The first refusal of a caller in a second is always sent at once.
    """

    def __init__(self, cores: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = _PER_CORE * max(1, cores)
        self._clock = clock
        self._lock = threading.Lock()
        self._free = _BURST  # refusals that can be sent at once; negative: those that wait for their turn
        self._updated = clock()
        self._waiting = 0
        self._refused: OrderedDict[str, float] = OrderedDict()  # caller -> time of its last refusal

    def wait(self, caller: str, context: grpc.ServicerContext) -> None:
        """Waits until the refusal of a call may be sent, or until the call ends."""
        with self._lock:
            seconds = self._take_turn(caller)
            remaining = context.time_remaining()
            if remaining is not None:
                seconds = min(seconds, _DEADLINE_SHARE * remaining)
            if seconds <= 0 or self._waiting >= MOST_WAITING:
                return
            self._waiting += 1
        try:
            ended = threading.Event()
            if context.add_callback(ended.set):
                ended.wait(seconds)
        finally:
            with self._lock:
                self._waiting -= 1

    def _take_turn(self, caller: str) -> float:
        """Returns the seconds until the turn of a refusal."""
        now = self._clock()
        last = self._refused.pop(caller, None)
        self._refused[caller] = now
        if len(self._refused) > _MOST_REMEMBERED:
            self._refused.popitem(last=False)
        if last is None or last < now - _REMEMBERED_SECONDS:
            return 0.0
        self._free = min(_BURST, self._free + self._rate * (now - self._updated))
        self._updated = now
        # Beyond the longest wait there are no later turns.
        self._free = max(self._free - 1, -self._rate * _MOST_SECONDS)
        return max(0.0, -self._free / self._rate)
