"""Identifies the caller of each call, so that admission and the model queues can treat callers fairly.

The interceptor sets `current_caller` for each call; servicers read it. Tokens are neither stored nor logged: the
identity holds only the digest of a token.
"""

from __future__ import annotations

import hashlib
from contextvars import ContextVar

# The caller's identity for the duration of a call. Tasks that the call creates inherit it. None outside of calls.
current_caller: ContextVar[str | None] = ContextVar("current_caller", default=None)


def identify_caller(peer: str, token: bytes = b"") -> str:
    """Returns the identity of a caller: the same for all calls with one token, or without a token for all calls of
    one connection.

    `token` must be checked already. An unchecked token would let one client pose as many callers and get the share
    of each.
    """
    return f"token:{hashlib.sha256(token).hexdigest()}" if token else f"connection:{peer}"
