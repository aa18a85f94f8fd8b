"""Callers as queues and limits count them: a key, or one of the connections of an address."""

from __future__ import annotations

from collections.abc import Hashable


class ConnectionCaller(str):
    """The name of a caller without a key, which is a connection. `address`: the address that the connection comes
    from; the connections of one address share the part of one caller."""

    address: str

    def __new__(cls, name: str, address: str) -> ConnectionCaller:
        """Returns the caller with this name."""
        caller = super().__new__(cls, name)
        caller.address = address
        return caller


def find_group(caller: Hashable) -> Hashable:
    """Returns the group whose callers share the part of one: the address of a connection, else the caller itself."""
    return caller.address if isinstance(caller, ConnectionCaller) else caller
