"""Checks addresses of servers, and shares calls between several of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from latimer.errors import ConnectionFailedError, InvalidArgumentError, LatimerError

# gRPC's own target schemes; gRPC checks what follows them.
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:", "passthrough:")
# Seconds for which calls avoid an address whose connection failed, if there are others. It doubles with each failure in
# a row, up to the limit.
_FIRST_PAUSE = 1.0
_MAX_PAUSE = 30.0
_MAX_PORT = 65_535


def parse_addresses(address: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the addresses in `address`: a list, or one string with commas between them. Raises `InvalidArgumentError`
    for a form that gRPC would misread."""
    found: list[object]
    if isinstance(address, str):
        # gRPC's schemes for lists of IP addresses use commas themselves.
        found = [address] if address.startswith(_SCHEMES) else [*address.split(",")]
    else:
        found = list(address) if isinstance(address, (list, tuple)) else [address]
    if not found:
        raise InvalidArgumentError("address is an empty list; give HOST:PORT, such as localhost:50051")
    return tuple(_parse(one) for one in found)


def _parse(address: object) -> str:
    if not isinstance(address, str):
        raise InvalidArgumentError(f"address is {type(address).__name__}; give HOST:PORT, such as localhost:50051")
    text = address.strip()
    if text.startswith(_SCHEMES):
        return text
    if "://" in text:
        scheme, _, rest = text.partition("://")
        cure = f"{rest.rstrip('/')} with tls=TLS()" if scheme in ("https", "grpcs") else rest.rstrip("/")
        raise InvalidArgumentError(f"address {text!r} has the scheme {scheme}; give HOST:PORT: {cure}")
    host, colon, port = text.rpartition(":")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise InvalidArgumentError(f"address {text!r}: put the IPv6 address in brackets, such as [::1]:50051")
    if not colon or not host:
        raise InvalidArgumentError(f"address {text!r} is not HOST:PORT; an example is localhost:50051")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
        raise InvalidArgumentError(f"address {text!r}: the port must be a number from 1 to {_MAX_PORT}")
    if any(character.isspace() or character == "/" for character in host):
        raise InvalidArgumentError(f"address {text!r} is not HOST:PORT; an example is localhost:50051")
    return text


class Balancer:
    """Chooses the address of each call in turn, and avoids addresses whose connections failed a moment ago.

    Thread-safe as far as it matters: a race only changes which address gets a call.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._turn = 0
        self._failures = [0] * count  # in a row
        self._usable_at = [float("-inf")] * count

    def choose(self) -> int:
        """Returns the index of the next usable address; if none is, that of the address that is usable first."""
        if self._count == 1:
            return 0
        now = self._clock()
        order = [(self._turn + step) % self._count for step in range(self._count)]
        chosen = next((index for index in order if self._usable_at[index] <= now), None)
        if chosen is None:
            chosen = min(order, key=self._usable_at.__getitem__)
        self._turn = (chosen + 1) % self._count
        return chosen

    def has_other(self, index: int) -> bool:
        """Returns True if another address is usable now."""
        now = self._clock()
        return any(self._usable_at[other] <= now for other in range(self._count) if other != index)

    def record(self, index: int, error: LatimerError | None) -> None:
        """Ends the pause of an address that answered, also with an error; begins one if its connection failed."""
        if self._count == 1:
            return
        if not isinstance(error, ConnectionFailedError):
            self._failures[index] = 0
            self._usable_at[index] = float("-inf")
            return
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures[index], 10), _MAX_PAUSE)
        self._failures[index] += 1
        self._usable_at[index] = self._clock() + pause
