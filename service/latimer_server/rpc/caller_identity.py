"""Identifies the caller of each call, so that admission and the model queues can treat callers fairly.

Tokens are neither stored nor logged: the identity holds only the digest of a token.
"""

from __future__ import annotations

import hashlib


def identify_caller(peer: str, token: bytes = b"") -> str:
    """Returns a string that identifies a caller: `token:` and the token's SHA-256, or `connection:` and `peer`.

    All calls with one token have the same identity, and without a token all calls of one connection. `token` must be
    checked already. An unchecked token would let one client pose as many callers and get the share of each.
    """
    return f"token:{hashlib.sha256(token).hexdigest()}" if token else f"connection:{peer}"
