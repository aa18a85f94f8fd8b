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
from latimer_server.core.client_certificate import Certificate, ClientCertificate, classify_name
from latimer_server.core.errors import CertificateInvalid, KeyExpired, Unauthenticated
from latimer_server.core.telemetry import KeyReading
from latimer_server.rpc.caller_identity import identify_caller
from latimer_server.rpc.certificate_fields import read_client_certificate
from latimer_server.rpc.listening import read_tokens

_RECONNECT = "open a new connection with one that is valid"
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
    """All accepted secrets by their SHA-256, and all names of client certificates that stand for a key, with their
    kinds (`classify_name`).

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
        certificates |= {classify_name(name): Credential(principal, b"", expires) for name in entry.certificates}
    return Credentials(secrets, certificates, are_required=keys is not None or tokens is not None)


@dataclass(frozen=True)
class Grant:
    """The answer to the credentials of a call: its caller, and how long the answer holds.

    It holds while the server has the same `credentials` and `authorities`, until `ends` in seconds since the epoch.
    """

    principal: Principal
    credentials: Credentials
    authorities: Sequence[Certificate]
    ends: float = math.inf


class Authenticator:
    """Finds the principal of each call. Without credentials every call is accepted.

    `needs_certificates`: whether the server asks its clients for certificates. `list_authorities`: returns the
    authorities that sign them now; None trusts what TLS has accepted. `clock`: seconds since the epoch, by which keys
    and certificates expire. `shares_by_address`: the connections of one address share the part of one caller.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        needs_certificates: bool = False,
        list_authorities: Callable[[], Sequence[Certificate]] | None = None,
        clock: Callable[[], float] = time.time,
        shares_by_address: bool = True,
    ) -> None:
        self.credentials = credentials or Credentials()
        self.needs_certificates = needs_certificates
        self.list_authorities = list_authorities
        self._clock = clock
        self._shares_by_address = shares_by_address

    def identify(self, peer: str) -> str:
        """Returns the caller of a call without credentials."""
        return identify_caller(peer, by_address=self._shares_by_address)

    def admit(
        self, peer: str, metadata: Mapping[str, str | bytes], certificate: ClientCertificate | None = None
    ) -> Grant:
        """Returns the caller of a call and how long this holds. `certificate`: that of its connection.

        Raises `Unauthenticated` if the server has keys and the call proves none of them, or one that has expired, or
        if the certificate has expired since the connection was opened.
        """
        # A reload replaces both. They are read first, so that a grant is never older than it says.
        credentials, authorities = self.credentials, self._read_authorities()
        self._require_valid(certificate, authorities)
        ends = certificate.leaf.ends if certificate else math.inf
        names = certificate.names if certificate else ()
        if not credentials.are_required:
            known = Principal(f"certificate:{names[0]}") if names else None
            principal = known or Principal(self.identify(peer), standing=Standing.OPEN)
            return Grant(principal, credentials, authorities, ends)
        authorization = metadata.get("authorization")
        if authorization is None:
            found = next(filter(None, map(credentials.certificates.get, names)), None)
        else:
            found = _find_secret(credentials.secrets, str(authorization))
        if found is None:
            raise Unauthenticated(_RULE)
        if found.expires <= self._clock():
            raise KeyExpired("the key of this call has expired")
        return Grant(found.principal, credentials, authorities, min(ends, found.expires))

    def holds(self, grant: Grant) -> bool:
        """Returns True if the credentials of a call would get the same answer now."""
        is_same = grant.credentials is self.credentials and grant.authorities is self._read_authorities()
        return is_same and self._clock() < grant.ends

    def count_seconds_left(self, grant: Grant) -> float:
        """Returns the seconds until a grant ends, by the clock of now; infinite if it does not end by itself."""
        return grant.ends - self._clock()

    def count_keys(self) -> KeyReading | None:
        """Returns how many keys are valid, and when the next one ends; None if every caller may call."""
        credentials, now = self.credentials, self._clock()
        if not credentials.are_required:
            return None
        # Tokens have no name and no end.
        ends = [end for name, end in credentials.valid_until.items() if name]
        later = [end for end in ends if end > now]
        next_end = min((end for end in later if end < math.inf), default=None)
        return KeyReading(len(later), len(ends) - len(later), next_end)

    def _read_authorities(self) -> Sequence[Certificate]:
        return self.list_authorities() if self.list_authorities else ()

    def _require_valid(self, certificate: ClientCertificate | None, authorities: Sequence[Certificate]) -> None:
        """Raises `CertificateInvalid` if a certificate that TLS has accepted before would not be accepted now."""
        if certificate is None:
            return
        if certificate.leaf.ends <= self._clock():
            raise CertificateInvalid(f"the client certificate of this connection has expired; {_RECONNECT}")
        if self.list_authorities and not certificate.is_trusted(authorities):
            rule = "the authority of the client certificate of this connection is not trusted any more"
            raise CertificateInvalid(f"{rule}; {_RECONNECT}")


def read_certificate(context: grpc.ServicerContext) -> ClientCertificate | None:
    """Returns the certificate with which a client has opened its connection; None without one.

    Raises `CertificateInvalid` if it cannot be read.
    """
    # The library's types give one value for each name; there may be many.
    properties = cast(Mapping[str, Sequence[bytes]], context.auth_context())
    leaf, chain = (next(iter(properties.get(name, ())), b"") for name in ("x509_pem_cert", "x509_pem_cert_chain"))
    if not leaf:
        return None
    try:
        return read_client_certificate(leaf, chain)
    except ValueError:
        raise CertificateInvalid(f"the client certificate of this connection cannot be read; {_RECONNECT}") from None


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
