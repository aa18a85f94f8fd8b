"""Identifies the callers without credentials, so that admission and the model queues can treat callers fairly."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from urllib.parse import unquote

from latimer_server.core.callers import ConnectionCaller

# A machine usually has all addresses of such a network, and may open each connection from another one.
_MACHINE_BITS = 64


def identify_caller(peer: str, *, by_address: bool = True) -> str:
    """Returns the identity of a caller without credentials: all calls of one connection have the same.

    `peer`: as gRPC writes it, such as `ipv4:192.0.2.1:50000`. `by_address`: the connections of one address share the
    part of one caller. A credential that is not checked plays no part. It would let one client pose as many callers and
    get the share of each.
    """
    name = f"connection:{peer}"
    return ConnectionCaller(name, f"address:{find_address(peer)}") if by_address else name


def find_address(peer: str) -> str:
    """Returns the address of a peer without its port; of an IPv6 address the network of 64 bits."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return peer
    host = rest.rpartition(":")[0].strip("[]")
    if kind == "ipv4":
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    zone = f"%{address.scope_id}" if address.scope_id else ""
    return f"{ip_network((int(address), _MACHINE_BITS), strict=False)}{zone}"
