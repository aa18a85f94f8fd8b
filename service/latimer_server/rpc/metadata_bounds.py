"""The bound on the metadata of a call."""

from __future__ import annotations

import grpc

from latimer_server.core.errors import OverloadBound, Overloaded

# gRPC's own default. A call of 500 bytes can refer to one entry hundreds of times, and each becomes Python objects.
MAX_METADATA_BYTES = 8 << 10
_PAIR_BYTES = 32


def check_metadata(context: grpc.ServicerContext) -> None:
    """Raises `Overloaded` if the metadata of a call is larger than 8 KiB, counted as HTTP/2 does (RFC 9113, section
    6.5.2)."""
    size = sum(len(key) + len(value) + _PAIR_BYTES for key, value in context.invocation_metadata() or ())
    if size > MAX_METADATA_BYTES:
        raise Overloaded(
            f"the call has {size} bytes of metadata; at most {MAX_METADATA_BYTES} are allowed",
            0.0,
            OverloadBound.METADATA,
        )
