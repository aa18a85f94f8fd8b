"""Bounds on calls: how many may be open at a time, in all and for each caller, and for how long."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from latimer_server.core.errors import Overloaded

# Threads that refuse calls while all others are held.
_SPARE_THREADS = 64
_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class CallLimits:
    """Bounds of the gRPC front; times in seconds.

    `requests`: calls in work. `receiving`: calls whose message is arriving, `receive_seconds` how long that may take.
    `probes`: the same for methods that need no token, of which the oldest call gives way to the newest.
    `streams`, `watches`, `reflections`: open streams of each kind. `stream_config_seconds`, `stream_idle_seconds`: how
    long a stream may wait for its first message and for each later one.
    """

    requests: int
    streams: int
    watches: int
    receive_seconds: float
    stream_config_seconds: float
    stream_idle_seconds: float
    receiving: int = 128
    probes: int = 64
    reflections: int = 16

    @property
    def threads(self) -> int:
        """Threads of the server: one for each call that may hold one, and some that refuse the others."""
        open_calls = self.requests + self.streams + self.watches + self.reflections
        return open_calls + self.receiving + self.probes + _SPARE_THREADS


class ConcurrencyLimit:
    """A bound on open calls of one kind. One caller gets at most `share` of all places. Thread-safe."""

    def __init__(self, what: str, most: int, share: float) -> None:
        self._what = what
        self._most = most
        self._most_per_caller = max(1, int(most * share))
        self._lock = threading.Lock()
        self._by_caller: Counter[str] = Counter()

    @property
    def active(self) -> int:
        """The number of places that are held."""
        with self._lock:
            return self._by_caller.total()

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Holds a place. Raises `Overloaded` if all places, or all of this caller's, are held."""
        with self._lock:
            if self._by_caller.total() >= self._most:
                raise Overloaded(f"the server has {self._most} {self._what}, which is its limit", _RETRY_SECONDS)
            if self._by_caller[caller] >= self._most_per_caller:
                rule = f"this caller has {self._most_per_caller} {self._what}, which is its limit"
                raise Overloaded(rule, _RETRY_SECONDS)
            self._by_caller[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._by_caller[caller] -= 1
                if not self._by_caller[caller]:
                    del self._by_caller[caller]


class ProbeLimit:
    """A bound on arriving messages of methods that need no token. Thread-safe.

    A bound that refuses would let strangers shut out the health checks of an orchestrator. So a new call takes the
    place of the oldest: a probe sends its message at once, and a call that is cancelled has waited for longer.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[int, grpc.ServicerContext] = OrderedDict()

    @contextmanager
    def hold(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Holds a place; cancels the call that has held one for longest if there are too many."""
        with self._lock:
            oldest = self._held.popitem(last=False)[1] if len(self._held) >= self._most else None
            self._held[id(context)] = context
        if oldest is not None:
            oldest.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(id(context), None)
