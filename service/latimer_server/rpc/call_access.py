"""The access of one call, which is decided again with each of its messages."""

from __future__ import annotations

import math
from collections.abc import Mapping

from latimer_server.core.access import UNKNOWN, Principal, QuotaLimits, Scope, Standing
from latimer_server.core.client_certificate import ClientCertificate
from latimer_server.core.errors import ScopeMissing, Unauthenticated
from latimer_server.rpc.auth import Authenticator, Grant


class CallAccess:
    """The access of a call by the credentials that opened it.

    A stream can outlive its secret, the scope of its key and the names of its key's certificates. So its credentials
    are looked up again, as those of a new call are, whenever the keys, the authorities or the time may have changed the
    answer. `scope`: what its method needs.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        peer: str,
        metadata: Mapping[str, str | bytes],
        certificate: ClientCertificate | None = None,
        scope: Scope | None = None,
    ) -> None:
        self._authenticator = authenticator
        # The rest of the metadata, which may be large, is not kept.
        self._metadata = {"authorization": metadata["authorization"]} if "authorization" in metadata else {}
        self._peer = peer
        self._certificate = certificate
        self._scope = scope
        self._grant: Grant | None = None
        self.principal = UNKNOWN

    def open(self) -> Principal:
        """Returns the caller of the call. Raises `Unauthenticated`."""
        self._grant = self._admit()
        self.principal = self._grant.principal
        return self.principal

    def open_to_all(self) -> Principal:
        """Returns the caller of a call that needs no credentials: a stranger without valid ones."""
        try:
            return self.open()
        except Unauthenticated:
            self.principal = Principal(self._authenticator.identify(self._peer), standing=Standing.STRANGER)
            return self.principal

    def renew(self) -> None:
        """Looks the credentials up again if the answer may have changed. Raises the error that a new call gets, and
        `Unauthenticated` if they stand for another key now: the queues and the log know the call by the key that it
        began with."""
        if self._grant is None or self._authenticator.holds(self._grant):
            return
        try:
            grant = self._admit()
        except Unauthenticated as error:
            if error.reason != Unauthenticated.reason:
                raise
            # The error of a new call would tell this caller, who has sent a valid secret, to send one.
            raise Unauthenticated("the credentials of this call have been revoked since it began") from None
        if grant.principal.caller != self.principal.caller:
            raise Unauthenticated("the credentials of this call stand for another key now; open a new call")
        self._grant, self.principal = grant, grant.principal
        self.require_scope()

    @property
    def seconds_left(self) -> float:
        """The seconds until the credentials expire, infinite for those that do not."""
        return math.inf if self._grant is None else self._authenticator.count_seconds_left(self._grant)

    @property
    def limits(self) -> QuotaLimits:
        """The quotas of the key, as of the last message."""
        return self.principal.limits

    def require_scope(self) -> None:
        """Raises `ScopeMissing` if the key lacks the scope of the method."""
        if self._scope and self._scope not in self.principal.scopes:
            raise ScopeMissing(self._scope)

    def _admit(self) -> Grant:
        return self._authenticator.admit(self._peer, self._metadata, self._certificate)
