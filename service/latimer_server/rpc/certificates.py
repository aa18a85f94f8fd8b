"""The certificates of the server and of the authority that signs its clients, which are read again when they change."""

from __future__ import annotations

import codecs
import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

from latimer_server.config.settings import Settings
from latimer_server.core.client_certificate import Certificate
from latimer_server.core.errors import LatimerError
from latimer_server.rpc.certificate_fields import read_certificates

_log = logging.getLogger(__name__)

_SOON_SECONDS = 14 * 86_400
_TRIES = 3
_END = b"-----END CERTIFICATE-----"


class CertificateError(LatimerError):
    """A certificate, its key or the authority of clients cannot be used. The message names the file."""


class ServerCertificates:
    """The certificate chain and key of the server, and the authorities of client certificates if clients need one.

    `load` reads the files; connections that begin later use their contents. `clock`: seconds since the epoch.
    `ends`: when the certificate in use ends, in seconds since the epoch; 0 if clients refuse it already. `authorities`:
    those of client certificates, in use now.
    """

    def __init__(
        self, certificate: Path, key: Path, client_ca: Path | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._clock = clock
        self._lock = threading.Lock()
        self._next: grpc.ServerCertificateConfiguration | None = None
        self._has_warned = False
        self.ends = 0.0
        self.authorities: tuple[Certificate, ...] = ()

    @property
    def authority_ends(self) -> float | None:
        """When the first authority of clients ends, in seconds since the epoch; None without any."""
        return min((authority.ends for authority in self.authorities), default=None)

    @property
    def paths(self) -> Sequence[Path]:
        """The files that are read."""
        return [path for path in (self._certificate, self._key, self._client_ca) if path]

    def load(self) -> None:
        """Reads the files. Raises `CertificateError`, and changes nothing then.

        A certificate that has expired or that clients would refuse for another reason is an error while the one in use
        is valid. Otherwise it is used, with a warning: some clients do not check it.
        """
        contents = self._read_unchanged()
        authorities = contents[2] if self._client_ca else None
        configuration = grpc.ssl_server_certificate_configuration([(contents[1], contents[0])], authorities)
        ends = self._check_validity(contents[0])
        read = _read_authorities(self._client_ca, authorities or b"", self._clock()) if self._client_ca else ()
        with self._lock:
            self._next = configuration
            self.ends = ends
            self.authorities = read
            self._has_warned = ends <= self._clock()

    def make_credentials(self) -> grpc.ServerCredentials:
        """Returns the credentials of a port. `load` must have succeeded before."""
        first = self._take_next()
        if first is None:
            raise ValueError("the certificates have not been loaded, or have their port already")
        # The library asks before each handshake; None keeps what it has. Its types do not know of None.
        fetch: Callable[[], grpc.ServerCertificateConfiguration] = self._take_next  # type: ignore[assignment]
        return grpc.dynamic_ssl_server_credentials(
            first, fetch, require_client_authentication=self._client_ca is not None
        )

    def note_expiry(self) -> None:
        """Logs once that the certificate has expired since it was read."""
        with self._lock:
            has_expired = self.ends <= self._clock() and not self._has_warned
            self._has_warned |= has_expired
        if has_expired:
            _log.error("the certificate has expired; clients refuse it", extra={"file": str(self._certificate)})

    def _take_next(self) -> grpc.ServerCertificateConfiguration | None:
        with self._lock:
            configuration, self._next = self._next, None
        return configuration

    def _read_unchanged(self) -> list[bytes]:
        """Returns the contents of the files, checked. The check reads the files itself, so it is made again if they
        change meanwhile."""
        for _ in range(_TRIES):
            contents = [_read(path) for path in self.paths]
            _check_pair(self._certificate, self._key, contents)
            if self._client_ca:
                _check_authority(self._client_ca, contents[2])
            if contents == [_read(path) for path in self.paths]:
                return contents
        raise CertificateError(f"{self._certificate}, {self._key}: change while they are read")

    def _check_validity(self, chain: bytes) -> float:
        """Returns the end of the certificate in seconds since the epoch, 0 if clients refuse it.

        Logs why they do. Raises `CertificateError` instead if the certificate in use is better.
        """
        name = {"file": str(self._certificate)}
        try:
            ends = _read_end(chain, self._certificate, self._key)
        except ssl.SSLError as error:
            reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
            if self.ends > self._clock():
                raise CertificateError(f"{self._certificate}: clients would refuse it: {reason}") from None
            _log.error("clients refuse the certificate", extra=name | {"cause": reason})
            return 0.0
        if ends < self._clock() + _SOON_SECONDS:
            days = max(0, int((ends - self._clock()) // 86_400))
            _log.warning("the certificate expires soon", extra=name | {"days": days})
        return ends


def make_certificates(settings: Settings) -> ServerCertificates | None:
    """Returns the certificates of the settings; None without TLS. Raises `CertificateError` if some of them lack."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate and key:
        return ServerCertificates(certificate, key, settings.tls_client_ca)
    if certificate or key:
        raise CertificateError("tls_certificate and tls_key must be set together; only one of them is set")
    if settings.tls_client_ca:
        raise CertificateError("tls_client_ca needs tls_certificate and tls_key")
    return None


def _check_pair(certificate: Path, key: Path, contents: Sequence[bytes]) -> None:
    for path, data, label in ((certificate, contents[0], b"CERTIFICATE"), (key, contents[1], b"PRIVATE KEY")):
        if label + b"-----" not in data:
            raise CertificateError(f"{path}: contains no {label.decode().lower()} in PEM form")
    try:
        # The password of an encrypted key would be asked for at the terminal; an empty one makes the key an error.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        rule = f"are not a certificate and its unencrypted key: {_name_reason(error)}"
        raise CertificateError(f"{certificate}, {key}: {rule}") from None
    except OSError as error:
        raise CertificateError(f"{certificate}, {key}: cannot be read: {error.strerror}") from None


def _check_authority(path: Path, data: bytes) -> None:
    if not data.strip():
        raise CertificateError(f"{path}: contains no certificates in PEM form: it is empty")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=data.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        reason = _name_reason(error) if isinstance(error, ssl.SSLError) else "is no ASCII text"
        raise CertificateError(f"{path}: contains no certificates in PEM form: {reason}") from None


def _read_authorities(path: Path, data: bytes, now: float) -> tuple[Certificate, ...]:
    """Returns the authorities of a file. An expired one may stand beside its successor.

    Raises `CertificateError` if all of them have expired, or one is no authority.
    """
    try:
        found = read_certificates(data)
    except ValueError as error:
        raise CertificateError(f"{path}: contains a certificate that cannot be read") from error
    for number, certificate in enumerate(found, start=1):
        if not certificate.is_authority:
            rule = "is no authority (its basic constraints lack CA), so that it signs no certificates of clients"
            raise CertificateError(f"{path}: certificate {number} {rule}")
    if all(certificate.ends <= now for certificate in found):
        raise CertificateError(f"{path}: all its authorities have expired, so that no client could connect")
    return found


def _name_reason(error: ssl.SSLError) -> str:
    return (error.reason or "unreadable").lower().replace("_", " ")


def _read_end(chain: bytes, certificate: Path, key: Path) -> float:
    """Returns when a certificate ends, by a handshake in memory whose client trusts this certificate only.

    Raises `SSLError` if clients refuse the certificate. Python's library reads no certificates otherwise.
    """
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key, password="")
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client_side.load_verify_locations(cadata=(chain.partition(_END)[0] + _END).decode("ascii", "replace"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(8):
        done = [_step(client), _step(server)]
        if all(done):
            break
    found = client.getpeercert() or {}
    return ssl.cert_time_to_seconds(str(found["notAfter"])) if "notAfter" in found else float("inf")


def _step(side: ssl.SSLObject) -> bool:
    """Goes on with a handshake as far as the bytes that have arrived allow; True once it is done."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read: {error.strerror}") from error
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CertificateError(f"{path}: begins with a byte order mark; save it as ASCII or as UTF-8 without one")
    return data
