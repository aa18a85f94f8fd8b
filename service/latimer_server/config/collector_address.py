"""The address of the collector of traces."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_collector(address: str) -> str:
    """Returns the address of a collector, `http://HOST:PORT` or `https://HOST:PORT`. Raises ValueError for any other.

    The message does not show the address. OpenTelemetry sends a user and a password to nobody, but writes them to the
    log whenever the collector fails.
    """
    if "@" in address:
        raise ValueError("has a user or a password, which is never sent to a collector; write http://HOST:4317")
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        is_usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number or too large, or brackets that are no address
        is_usable = False
    if not is_usable:
        raise ValueError("names no host and port that can be used; write http://HOST:4317")
    return address
