"""Authentication of calls by bearer tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from latimer_server.core.access import Principal
from latimer_server.core.errors import Unauthenticated
from latimer_server.rpc.caller_identity import identify_caller


class Authenticator:
    """Checks bearer tokens. Without tokens every call is accepted."""

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self._digests = frozenset(_digest(token) for token in tokens)

    def identify(self, peer: str, metadata: Mapping[str, str | bytes] | None) -> Principal:
        """Returns the caller of a call. `metadata` None: the method needs no token. Raises `Unauthenticated` if the
        server has tokens and the call has none of them."""
        if not self._digests or metadata is None:
            return Principal(identify_caller(peer))
        scheme, _, offered = str(metadata.get("authorization", "")).partition(" ")
        # Digests are looked up, so that the delay of an answer tells nothing about a token.
        if scheme.lower() != "bearer" or _digest(offered.strip()) not in self._digests:
            raise Unauthenticated("the call needs metadata `authorization: Bearer TOKEN` with a known token")
        return Principal(identify_caller(peer, offered.strip().encode()))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
