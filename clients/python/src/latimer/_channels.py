"""The channels of a client: one for each address, opened at the first call."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from latimer._addresses import Balancer
from latimer._channel import Connection
from latimer._status import convert_call_error
from latimer.errors import LatimerError

C = TypeVar("C")


class Channels(Generic[C]):
    """Opens and keeps channels. `insecure` and `secure`: gRPC's functions that open one.

    A channel is opened at its first call, so that a client can be made before a fork or an event loop. A child process
    forgets the channels of its parent: their connections and threads stay with the parent.
    """

    def __init__(self, connection: Connection, insecure: Callable[..., C], secure: Callable[..., C]) -> None:
        self._connection = connection
        self._insecure = insecure
        self._secure = secure
        self._lock = threading.Lock()
        self._open: dict[int, C] = {}
        self._process = os.getpid()
        self.balancer = Balancer(len(connection.addresses))

    def get(self, index: int) -> C:
        """Returns the channel of an address."""
        if self._process != os.getpid():
            # Another thread of the parent may have held the lock during the fork.
            self._process, self._lock, self._open = os.getpid(), threading.Lock(), {}
        with self._lock:
            if index not in self._open:
                self._open[index] = self._make(self._connection.addresses[index])
            return self._open[index]

    def convert_error(self, index: int, error: Any) -> LatimerError:
        """Converts gRPC's error of a call to an address, and remembers a connection that failed."""
        converted = convert_call_error(error, self._connection.addresses[index])
        self.balancer.record(index, converted)
        return converted

    def take_all(self) -> list[C]:
        """Returns the open channels, for the caller to close."""
        if self._process != os.getpid():
            return []
        with self._lock:
            channels = list(self._open.values())
            self._open.clear()
        return channels

    def _make(self, address: str) -> C:
        settings: dict[str, Any] = {"options": self._connection.options, "compression": self._connection.compression}
        credentials = self._connection.credentials
        if credentials is None:
            return self._insecure(address, **settings)
        return self._secure(address, credentials, **settings)
