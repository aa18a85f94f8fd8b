"""Bounds on calls: how many may be open at a time, in all and for each caller, and for how long."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import grpc

from latimer_server.core.errors import OverloadBound, Overloaded
from latimer_server.rpc.refusal_pace import MOST_WAITING

# Threads that refuse calls while all others are held.
_SPARE_THREADS = 64
_RETRY_SECONDS = 1.0
# What a caller has lost counts half after so many seconds.
_LOSS_SECONDS = 2.0


@dataclass(frozen=True)
class CallLimits:
    """Bounds of the gRPC front; times in seconds.

    `requests`: calls in work. `receiving`: calls whose message is arriving, `receive_seconds` how long that may take.
    `probes`: the same for methods that need no token. `answers`, `answer_bytes`: answers that callers have not read
    yet; one caller has a quarter of each. `streams`, `watches`, `reflections`: open streams of each kind; as many
    watches again are for callers with credentials.
    `stream_config_seconds`, `stream_idle_seconds`: how long a stream may wait for its first message and for each later
    one.
    """

    requests: int
    streams: int
    watches: int
    receive_seconds: float
    stream_config_seconds: float
    stream_idle_seconds: float
    receiving: int = 128
    probes: int = 64
    answers: int = 1_024
    answer_bytes: int = 256 << 20
    reflections: int = 16

    @property
    def threads(self) -> int:
        """Threads of the server: one for each call that may hold one, for refusals that wait, and for others."""
        open_calls = self.requests + self.streams + 2 * self.watches + self.reflections
        return open_calls + self.receiving + self.probes + MOST_WAITING + _SPARE_THREADS


class ConcurrencyLimit:
    """A bound on open calls of one kind. One caller gets at most `share` of all places. Thread-safe.

    `bound`: its name.
    """

    def __init__(self, what: str, most: int, share: float, bound: OverloadBound) -> None:
        self._what = what
        self._bound = bound
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
                raise Overloaded(
                    f"the server has {self._most} {self._what}, which is its limit", _RETRY_SECONDS, self._bound
                )
            if self._by_caller[caller] >= self._most_per_caller:
                rule = f"this caller has {self._most_per_caller} {self._what}, which is its limit"
                raise Overloaded(rule, _RETRY_SECONDS, self._bound)
            self._by_caller[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._by_caller[caller] -= 1
                if not self._by_caller[caller]:
                    del self._by_caller[caller]


class Cancellable(Protocol):
    """A call that can lose its place."""

    def cancel(self) -> object:
        """Ends the call. Any thread may call it."""


class DisplacingLimit:
    """A bound on the places or bytes that calls hold, for all callers together and for each. Thread-safe.

    A bound that only refuses would let strangers shut out everybody, also the health checks of an orchestrator. So
    beyond the bound of all callers the caller that holds the most loses the oldest of what it holds: that call is
    cancelled. What a caller has lost in the last seconds counts as if it held it still. Otherwise a flood over many
    connections, each of which holds little at a time, would displace a caller with few calls. A caller at its own bound
    is refused. `rule`: the message of that refusal, in which `{held}` is what the caller holds and `{most}` its bound.
    `clock` returns seconds. `bound`: its name.
    """

    def __init__(
        self,
        rule: str,
        most: int,
        most_per_caller: int,
        bound: OverloadBound,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rule = rule
        self._bound = bound
        self._most = most
        self._most_per_caller = most_per_caller
        self._clock = clock
        self._lock = threading.Lock()
        self._sizes: Counter[str] = Counter()
        self._held: dict[str, OrderedDict[int, tuple[int, Cancellable]]] = {}  # oldest first
        self._lost: Counter[str] = Counter()
        self._halved_at = clock()

    def require_room(self, caller: str) -> None:
        """Raises `Overloaded` if this caller is at its bound."""
        held = self._sizes.get(caller, 0)
        if held >= self._most_per_caller:
            raise Overloaded(self._rule.format(held=held, most=self._most_per_caller), _RETRY_SECONDS, self._bound)

    @contextmanager
    def hold(self, caller: str, context: Cancellable) -> Iterator[None]:
        """Holds one place. Raises `Overloaded` if this caller is at its bound."""
        with self._lock:
            self.require_room(caller)
            displaced = self._add(caller, context, 1)
        _cancel(displaced)
        try:
            yield
        finally:
            self._release(caller, id(context))

    def hold_until_end(self, caller: str, context: grpc.ServicerContext, size: int) -> None:
        """Counts `size` until the call ends, even if the caller is at its bound."""
        with self._lock:
            displaced = self._add(caller, context, size)
        if not context.add_callback(lambda: self._release(caller, id(context))):
            self._release(caller, id(context))
        _cancel(displaced)

    def _add(self, caller: str, context: Cancellable, size: int) -> list[Cancellable]:
        """Counts what a call holds, and returns the calls that lose their place by it."""
        self._held.setdefault(caller, OrderedDict())[id(context)] = size, context
        self._sizes[caller] += size
        displaced = []
        while self._sizes.total() > self._most:
            self._halve_losses()
            largest = max(self._sizes, key=self._count)
            number, (lost, oldest) = next(iter(self._held[largest].items()))
            displaced.append(oldest)
            self._remove(largest, number)
            self._lost[largest] += lost
        return displaced

    def _count(self, caller: str) -> int:
        """Returns what a caller holds and has lost in the last seconds."""
        return self._sizes[caller] + self._lost[caller]

    def _halve_losses(self) -> None:
        if halvings := int((self._clock() - self._halved_at) / _LOSS_SECONDS):
            self._halved_at += halvings * _LOSS_SECONDS
            halved = {caller: lost >> halvings for caller, lost in self._lost.items()}
            self._lost = Counter({caller: lost for caller, lost in halved.items() if lost})

    def _release(self, caller: str, number: int) -> None:
        with self._lock:
            self._remove(caller, number)

    def _remove(self, caller: str, number: int) -> None:
        held = self._held.get(caller)
        entry = held.pop(number, None) if held else None
        if held is None or entry is None:
            return  # the call has lost its place
        self._sizes[caller] -= entry[0]
        if not held:
            del self._held[caller], self._sizes[caller]


def _cancel(contexts: Iterable[Cancellable]) -> None:
    for context in contexts:
        context.cancel()
