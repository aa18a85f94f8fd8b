"""The port of the server: its address, tokens and channel options."""

from __future__ import annotations

import logging
import resource
from ipaddress import ip_address
from pathlib import Path

import grpc

from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError
from latimer_server.rpc.certificates import ServerCertificates
from latimer_server.rpc.metadata_bounds import MAX_METADATA_BYTES

# Messages of requests. The contract states this size; it is also gRPC's default.
MAX_MESSAGE_BYTES = 4 << 20
_UNIX = "unix:"
# Descriptors that are left for models, files and the process itself when connections have the rest.
_OTHER_DESCRIPTORS = 128
# Bounds on unaccepted calls. Beyond them gRPC answers CANCELLED, which clients do not retry: above the first bound for
# some calls at random, above the second for all. The defaults are 1,000 and 3,000.
_PENDING_SOFT_LIMIT, _PENDING_HARD_LIMIT = 3_000, 6_000

_log = logging.getLogger(__name__)


class ListenError(LatimerError):
    """The server cannot listen: the address or the token file cannot be used."""


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
        # A connection is closed at its fourth PING without data in between.
        ("grpc.http2.max_ping_strikes", 2),
    ]


def name_address(listen: str, port: int) -> str:
    """Returns the address under which clients find a server that is bound to `port`."""
    return listen if listen.startswith(_UNIX) else f"{listen.rpartition(':')[0]}:{port}"


def bind_port(server: grpc.Server, settings: Settings, certificates: ServerCertificates | None = None) -> int:
    """Binds the address of the settings and returns the port. Raises `ListenError`."""
    check_exposure(settings)
    try:
        if certificates:
            return server.add_secure_port(settings.listen, certificates.make_credentials())
        return server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        raise ListenError(
            f"cannot listen on {settings.listen}: the port may be in use, or the address may not belong to this machine"
        ) from error


def check_exposure(settings: Settings) -> None:
    """Raises `ListenError` if other machines can reach the server without encryption or without credentials, and the
    settings do not say that this is meant."""
    if is_loopback(settings.listen):
        return
    missing = []
    if not settings.tls_certificate:
        missing.append("TLS (--tls-certificate and --tls-key)")
    if not (settings.keys or settings.auth_tokens or settings.tls_client_ca):
        missing.append("keys (--keys, or --tls-client-ca)")
    if missing and settings.insecure:
        _log.warning(
            "other machines can reach the server", extra={"listen": settings.listen, "without": ", ".join(missing)}
        )
    elif missing:
        raise ListenError(
            f"listen: other machines can reach {settings.listen}, which needs {' and '.join(missing)};"
            " listen on 127.0.0.1, or say --insecure if every machine of the network may call this server"
        )


def is_loopback(listen: str) -> bool:
    """Returns whether only programs of this machine can reach an address."""
    if listen.startswith(_UNIX):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ListenError(f"{path}: cannot be read: {error.strerror}") from error
