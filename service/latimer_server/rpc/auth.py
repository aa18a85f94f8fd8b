"""Authentication of calls by keys, tokens and client certificates."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

import grpc

from latimer_server.config.key_file import digest_secret, read_keys
from latimer_server.core.access import Principal, Standing
from latimer_server.core.errors import KeyExpired, Unauthenticated
from latimer_server.rpc.caller_identity import identify_caller
from latimer_server.rpc.listening import read_tokens

_RULE = "the call needs metadata `authorization: Bearer KEY` with a known key"


@dataclass(frozen=True)
class Credential:
    """An accepted secret or certificate. `digest`: SHA-256 of the secret; b"" of a certificate. `expires`: seconds
    since the epoch."""

    principal: Principal
    digest: bytes = b""
    expires: float = math.inf


@dataclass(frozen=True)
class Credentials:
    """All accepted secrets by their SHA-256, and all names of client certificates that stand for a key.

    `are_required`: whether a call needs one of them. False accepts every call.
    """

    secrets: Mapping[bytes, Credential] = field(default_factory=dict)
    certificates: Mapping[str, Credential] = field(default_factory=dict)
    are_required: bool = False

    @cached_property
    def valid_until(self) -> Mapping[str, float]:
        """When each named key ends, in seconds since the epoch."""
        ends: dict[str, float] = {}
        for credential in (*self.secrets.values(), *self.certificates.values()):
            name = credential.principal.key
            ends[name] = max(credential.expires, ends.get(name, -math.inf))
        return ends


def load_credentials(keys: Path | None, tokens: Path | None) -> Credentials:
    """Reads the key file and the token file, if there are any. A token opens all scopes and has no quota.

    Raises `KeyFileError` and `ListenError`.
    """
    secrets: dict[bytes, Credential] = {}
    certificates: dict[str, Credential] = {}
    for token in read_tokens(tokens):
        digest = digest_secret(token)
        secrets[digest] = Credential(Principal(f"token:{digest.hex()}"), digest)
    for key in read_keys(keys) if keys else ():
        entry = key.entry
        principal = Principal(f"key:{key.name}", key.name, entry.scopes, entry.limits)
        expires = entry.expires.timestamp() if entry.expires else math.inf
        if entry.sha256:
            digest = bytes.fromhex(entry.sha256)
            secrets[digest] = Credential(principal, digest, expires)
        if entry.previous_sha256 and entry.previous_expires:
            digest = bytes.fromhex(entry.previous_sha256)
            secrets[digest] = Credential(principal, digest, min(expires, entry.previous_expires.timestamp()))
        certificates |= {name: Credential(principal, b"", expires) for name in entry.certificates}
    return Credentials(secrets, certificates, are_required=keys is not None or tokens is not None)


class Authenticator:
    """Finds the principal of each call. Without credentials every call is accepted.

    `needs_certificates`: whether the server asks its clients for certificates. `clock`: seconds since the epoch, by
    which keys expire.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        needs_certificates: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.credentials = credentials or Credentials()
        self.needs_certificates = needs_certificates
        self._clock = clock

    def identify(
        self, peer: str, metadata: Mapping[str, str | bytes], certificate_names: Sequence[str] = ()
    ) -> Principal:
        """Returns the caller of a call. `certificate_names`: of the client's certificate.

        Raises `Unauthenticated` if the server has keys and the call proves none of them, or one that has expired.
        """
        credentials = self.credentials  # a reload replaces them
        if not credentials.are_required:
            if certificate_names:
                return Principal(f"certificate:{certificate_names[0]}")
            return Principal(identify_caller(peer), standing=Standing.OPEN)
        authorization = metadata.get("authorization")
        if authorization is None:
            found = next(filter(None, map(credentials.certificates.get, certificate_names)), None)
        else:
            found = _find_secret(credentials.secrets, str(authorization))
        if found is None:
            raise Unauthenticated(_RULE)
        if found.expires <= self._clock():
            raise KeyExpired("the key of this call has expired")
        return found.principal

    def recognize(
        self, peer: str, metadata: Mapping[str, str | bytes], certificate_names: Sequence[str] = ()
    ) -> Principal:
        """Returns the caller of a call that needs no credentials; see `identify`. Without valid ones it is a
        stranger."""
        try:
            return self.identify(peer, metadata, certificate_names)
        except Unauthenticated:
            return Principal(identify_caller(peer), standing=Standing.STRANGER)

    def require_current(self, principal: Principal) -> None:
        """Raises `Unauthenticated` if the key of a call has been revoked or has expired since the call began. Long
        streams are checked with each message."""
        if not principal.key:
            return
        ends = self.credentials.valid_until.get(principal.key)
        if ends is None:
            raise Unauthenticated("the key of this call has been revoked")
        if ends <= self._clock():
            raise KeyExpired("the key of this call has expired")


def read_certificate_names(context: grpc.ServicerContext) -> tuple[str, ...]:
    """Returns the names of the client's certificate: its subject alternative names, or its common name if it has none
    (RFC 9525, section 2)."""
    # The library's types give one value for each name; there are many.
    properties = cast(Mapping[str, Sequence[bytes]], context.auth_context())
    names = properties.get("x509_subject_alternative_name") or properties.get("x509_common_name") or ()
    return tuple(name.decode("utf-8", "replace") for name in names)


def _find_secret(secrets: Mapping[bytes, Credential], authorization: str) -> Credential | None:
    """Returns the credential of an `authorization` header.

    The secret is hashed before it is compared with anything: the time of the look-up depends on a digest, which a
    caller can neither choose nor extend towards that of another key.
    """
    scheme, _, offered = authorization.partition(" ")
    digest = digest_secret(offered.strip())
    found = secrets.get(digest)
    is_equal = found is not None and hmac.compare_digest(found.digest, digest)
    return found if is_equal and scheme.lower() == "bearer" else None
