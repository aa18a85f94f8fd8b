"""Authentication of calls by bearer tokens."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from latimer_server.core.errors import Unauthenticated
from latimer_server.rpc.caller_identity import identify_caller


class Authenticator:
    """Checks bearer tokens. Without tokens every call is accepted."""

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self._tokens = tuple(token.encode() for token in tokens)

    def identify(self, peer: str, metadata: Mapping[str, str | bytes] | None) -> str:
        """Returns the caller's name. `metadata` None: the method needs no token. Raises `Unauthenticated` without a
        known token where tokens are required."""
        if not self._tokens or metadata is None:
            return identify_caller(peer)
        offered = str(metadata.get("authorization", "")).removeprefix("Bearer ").encode()
        # Every token is compared in constant time, so that the delay of an answer tells nothing.
        if not any([hmac.compare_digest(offered, token) for token in self._tokens]):  # noqa: C419
            raise Unauthenticated("the call needs metadata `authorization: Bearer TOKEN` with a known token")
        return identify_caller(peer, offered)
