"""Shared places: a bound on open streams of one kind that is shared fairly among callers and their connections."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from latimer_server.core.access import Standing
from latimer_server.core.errors import OverloadBound, Overloaded
from latimer_server.rpc.call import Call
from latimer_server.rpc.call_limits import Cancellable
from latimer_server.rpc.caller_identity import find_address

_RETRY_SECONDS = 1.0


def find_owner(call: Call, context: grpc.ServicerContext) -> tuple[str, str]:
    """Returns the caller and the connection to which a stream belongs in `SharedPlaces.hold`."""
    connection = context.peer()
    # A caller without credentials is its address here. `call.caller` may be one of its connections.
    is_proven = call.principal.standing is Standing.PROVEN
    return call.caller if is_proven else find_address(connection), connection


class SharedPlaces:
    """The places of open streams of one kind, such as health watches. Thread-safe.

    A stream belongs to a caller (a key, or the address of callers without one) and to one of its connections. While all
    places are held, a new stream takes the place of the oldest one on the connection with the most, of the caller with
    the most. It does so only if that caller holds more than the new one, or that connection more than its own: as many
    programs as there are places, each with one stream, would otherwise displace each other for ever. Else it takes the
    place of the oldest one on its own connection, and is refused if there is none.

    `most`: places in all. `most_per_connection`: places of one connection. `what`: the plural of the kind of stream,
    and `remedy`: what a caller can do without a place, both for messages. `bound`: its name.
    """

    def __init__(self, most: int, most_per_connection: int, what: str, remedy: str, bound: OverloadBound) -> None:
        self._most = most
        self._what = what
        self._remedy = remedy
        self._bound = bound
        self._most_per_connection = most_per_connection
        self._lock = threading.Lock()
        self._callers: Counter[str] = Counter()
        # The streams of each connection, oldest first.
        self._connections: dict[tuple[str, str], OrderedDict[int, Cancellable]] = {}

    @contextmanager
    def hold(self, caller: str, connection: str, stream: Cancellable) -> Iterator[None]:
        """Holds a place. Raises `Overloaded` if there is none for this stream."""
        with self._lock:
            displaced = self._make_room((caller, connection))
            self._connections.setdefault((caller, connection), OrderedDict())[id(stream)] = stream
            self._callers[caller] += 1
        if displaced:
            displaced.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._remove((caller, connection), id(stream))

    def _make_room(self, own: tuple[str, str]) -> Cancellable | None:
        """Frees a place if all are held, and returns the stream that has lost it."""
        held = len(self._connections.get(own, ()))
        if held >= self._most_per_connection:
            raise Overloaded(
                f"this connection has {held} open {self._what}, which is its limit", _RETRY_SECONDS, self._bound
            )
        if self._callers.total() < self._most:
            return None
        largest, size = self._callers.most_common(1)[0]
        if self._callers[own[0]] == size:
            largest = own[0]
        connection = max(
            (key for key in self._connections if key[0] == largest), key=lambda key: len(self._connections[key])
        )
        is_fair = size > self._callers[own[0]] + 1 or (
            largest == own[0] and len(self._connections[connection]) > held + 1
        )
        if not is_fair and not held:
            rule = f"all {self._most} places for {self._what} are held; {self._remedy}"
            raise Overloaded(rule, _RETRY_SECONDS, self._bound)
        connection = connection if is_fair else own
        number, stream = next(iter(self._connections[connection].items()))
        self._remove(connection, number)
        return stream

    def _remove(self, key: tuple[str, str], number: int) -> None:
        streams = self._connections.get(key)
        if streams is None or streams.pop(number, None) is None:
            return  # it has lost its place
        self._callers[key[0]] -= 1
        if not self._callers[key[0]]:
            del self._callers[key[0]]
        if not streams:
            del self._connections[key]
