"""Who calls: what the queues' turns go by. The interceptor sets it for each call, what queues its work reads it.

Knows nothing of calls; no token is kept or shown, only its digest.
"""

from __future__ import annotations

import hashlib
from contextvars import ContextVar

# Set by the interceptor for the life of a call; tasks inherit it. None: no call.
current_caller: ContextVar[str | None] = ContextVar("caller", default=None)


def identify_caller(peer: str, token: bytes = b"") -> str:
    """One name for all calls of one caller: of those with one token, else of those of one connection. `token` is one
    that was checked: who may write into it what they like would have a turn for each call."""
    return f"token:{hashlib.sha256(token).hexdigest()}" if token else f"connection:{peer}"
