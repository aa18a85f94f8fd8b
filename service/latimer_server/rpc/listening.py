"""The port of the server: address, TLS, tokens and channel options."""

from __future__ import annotations

import logging
import resource
import ssl
from pathlib import Path

import grpc

from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError
from latimer_server.rpc.call import MAX_METADATA_BYTES

# Messages of requests. The contract states this size; it is also gRPC's default.
MAX_MESSAGE_BYTES = 4 << 20
_MAX_PORT = 65_535
_UNIX = "unix:"
# Descriptors that are left for models, files and the process itself when connections have the rest.
_OTHER_DESCRIPTORS = 128
# Bounds on unaccepted calls. Beyond them gRPC answers CANCELLED, which clients do not retry: above the first bound for
# some calls at random, above the second for all. The defaults are 1,000 and 3,000.
_PENDING_SOFT_LIMIT, _PENDING_HARD_LIMIT = 3_000, 6_000

_log = logging.getLogger(__name__)


class ListenError(LatimerError):
    """The server cannot listen: the address, the TLS files or the token file cannot be used."""


def channel_options(settings: Settings) -> list[tuple[str, int]]:
    """Returns gRPC's options for the connections of the server; times in milliseconds."""
    return [
        # Without this a second server on the same port would silently share its connections. It must fail instead.
        ("grpc.so_reuseport", 0),
        ("grpc.server.max_pending_requests", _PENDING_SOFT_LIMIT),
        ("grpc.server.max_pending_requests_hard_limit", _PENDING_HARD_LIMIT),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        # gRPC holds a client to it only once the client has acknowledged HTTP/2's settings; until then the bound is
        # 16 MiB, so `call.check_metadata` checks again.
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_allowed_incoming_connections", _count_connections(settings.max_connections)),
        ("grpc.server_handshake_timeout_ms", round(1_000 * settings.handshake_seconds)),
        ("grpc.http2.settings_timeout", round(1_000 * settings.handshake_seconds)),
        ("grpc.max_concurrent_streams", settings.max_calls_per_connection),
        # Without gRPC's own protection a client that resets its calls at once fills the queue of all callers. It also
        # resets calls of a client that opens thousands at a time; such a client sees UNAVAILABLE and retries.
        ("grpc.http.overload_protection", 1),
        ("grpc.max_connection_idle_ms", round(1_000 * settings.connection_idle_seconds)),
        ("grpc.max_connection_age_ms", round(1_000 * settings.connection_age_seconds)),
        ("grpc.max_connection_age_grace_ms", round(1_000 * settings.connection_grace_seconds)),
        # A client that neither reads nor answers pings is gone.
        ("grpc.keepalive_time_ms", round(1_000 * settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", round(1_000 * settings.keepalive_timeout_seconds)),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def name_address(listen: str, port: int) -> str:
    """Returns the address under which clients find a server that is bound to `port`."""
    return listen if listen.startswith(_UNIX) else f"{listen.rpartition(':')[0]}:{port}"


def bind_port(server: grpc.Server, settings: Settings) -> int:
    """Binds the address of the settings and returns the port. Raises `ListenError`."""
    _check_address(settings.listen)
    try:
        if settings.tls_certificate and settings.tls_key:
            pair = _read_key_pair(settings.tls_certificate, settings.tls_key)
            return server.add_secure_port(settings.listen, grpc.ssl_server_credentials([pair]))
        if settings.tls_certificate or settings.tls_key:
            raise ListenError("tls_certificate and tls_key must be set together; only one of them is set")
        return server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        raise ListenError(
            f"cannot listen on {settings.listen}: the port may be in use, or the address may not belong to this machine"
        ) from error


def read_tokens(path: Path | None) -> list[str]:
    """Returns the tokens of a file with one token per line; none without a file.

    The file is UTF-8, with or without a byte order mark; lines that begin with `#` are comments. A token consists of
    printable ASCII, because gRPC sends nothing else as metadata. Raises `ListenError`.
    """
    if path is None:
        return []
    try:
        lines = _read(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ListenError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8, one token per line") from None
    tokens = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        if not (line.isascii() and line.isprintable()):
            raise ListenError(f"{path}: line {number}: a token consists of printable ASCII characters")
        tokens.append(line)
    if not tokens:
        raise ListenError(f"{path}: contains no token, so every call would be refused; add one token per line")
    return tokens


def _check_address(listen: str) -> None:
    """Raises `ListenError` unless an address is `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`.

    gRPC itself takes port 99999 for 34463, -1 for 65535, and 443 if there is none.
    """
    if listen.startswith(_UNIX):
        return
    host, _, port = listen.rpartition(":")
    is_number = port.isascii() and port.isdigit()
    if not host or not is_number or int(port) > _MAX_PORT or (":" in host and not host.startswith("[")):
        raise ListenError(
            f"cannot listen on {listen}: write HOST:PORT, [IPV6]:PORT or unix:PATH, with a port from 0 to {_MAX_PORT}"
        )


def _count_connections(most: int) -> int:
    """Returns the bound on connections: `most`, or fewer if the process may not open so many descriptors.

    Raises the process's limit to the highest that it may set itself.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY or most <= hard - _OTHER_DESCRIPTORS:
        return most
    fewer = max(1, hard - _OTHER_DESCRIPTORS, hard // 2)
    _log.warning("fewer connections than max_connections", extra={"connections": fewer, "descriptors": hard})
    return fewer


def _read_key_pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Returns the private key and the certificate chain. Raises `ListenError` unless both are PEM and match."""
    pair = _read(key), _read(certificate)
    for path, data, label in ((certificate, pair[1], b"CERTIFICATE"), (key, pair[0], b"PRIVATE KEY")):
        if label + b"-----" not in data:
            raise ListenError(f"{path}: contains no {label.decode().lower()} in PEM form")
    try:
        # The password of an encrypted key would be asked for at the terminal; an empty one makes the key an error.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "unreadable").lower().replace("_", " ")
        raise ListenError(f"{certificate}, {key}: are not a certificate and its unencrypted key: {reason}") from None
    return pair


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ListenError(f"{path}: cannot be read: {error.strerror}") from error
