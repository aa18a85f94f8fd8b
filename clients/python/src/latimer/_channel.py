"""The settings of the connections of both clients: options, credentials, metadata, timeouts and retries."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from latimer import errors
from latimer._addresses import parse_addresses
from latimer.types import TLS, Retry

Metadata = tuple[tuple[str, str], ...]
Token = str | Callable[[], str] | None
ChannelOptions = Sequence[tuple[str, Any]]

# The size of received messages has no limit here: a response with all segments may be many times larger than its
# request. The server limits the number of segments.
OPTIONS: ChannelOptions = (("grpc.max_receive_message_length", -1),)
_COMPRESSIONS = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
# Statuses after which the same request may succeed a moment later.
_RETRIED = errors.ConnectionFailedError


@dataclass(frozen=True)
class Connection:
    """What both clients need to open channels and make calls, checked."""

    addresses: tuple[str, ...]
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, Any], ...]
    compression: grpc.Compression | None
    token: Token
    timeout: float | None
    retry: Retry

    def metadata(self, trace: Metadata) -> Metadata:
        """Returns the metadata of a request. A token that is a function is called for each request. `trace`: see
        `trace_metadata`."""
        token = self.token() if callable(self.token) else self.token
        return (*to_metadata(token), *trace)


def make_connection(
    address: str | Sequence[str],
    *,
    timeout: float | None,
    token: Token,
    tls: TLS | None,
    retry: Retry | None,
    proxy: str | None,
    compression: str | None,
    channel_options: ChannelOptions,
) -> Connection:
    """Checks the arguments of a client. Raises `InvalidArgumentError` for a wrong one, naming it."""
    if compression is not None and compression not in _COMPRESSIONS:
        raise errors.InvalidArgumentError(f"compression is {compression!r}; it must be 'gzip', 'deflate' or None")
    if token is not None and not callable(token):
        to_metadata(token)
    options = dict(OPTIONS)
    if proxy is not None:
        options |= {"grpc.http_proxy": proxy} if proxy else {"grpc.enable_http_proxy": 0}
    options |= dict(channel_options)
    return Connection(
        parse_addresses(address),
        to_credentials(tls),
        tuple(options.items()),
        _COMPRESSIONS[compression] if compression else None,
        token,
        check_timeout(timeout),
        check_retry(retry) or Retry(),
    )


def closed_error() -> errors.LatimerError:
    """Returns the error of a call on a closed client."""
    return errors.ConnectionFailedError("the client is closed")


def to_credentials(tls: TLS | None) -> grpc.ChannelCredentials | None:
    """Returns the credentials of a channel; None for plaintext."""
    if tls is None:
        return None
    if not isinstance(tls, TLS):
        raise errors.InvalidArgumentError(f"tls is {type(tls).__name__}; it must be a latimer.TLS, such as TLS()")
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)


def to_metadata(token: object) -> Metadata:
    """Returns the metadata of a call. Raises `InvalidArgumentError` for a token that no header can contain; the message
    does not quote it."""
    if token is None or token == "":
        return ()
    if not isinstance(token, str):
        kind = type(token).__name__
        raise errors.InvalidArgumentError(f"token is {kind}; it must be a str, or a function that returns one")
    for at, character in enumerate(token):
        if not "!" <= character <= "~":
            name = "a line break" if character in "\r\n" else "white space" if character.isspace() else "not ASCII"
            raise errors.InvalidArgumentError(
                f"character {at} of {len(token)} of token is {name}; strip the text of a file or variable"
            )
    return (("authorization", f"Bearer {token}"),)


def trace_metadata() -> Metadata:
    """Returns the current trace context as metadata (W3C Trace Context), if the program uses OpenTelemetry.

    A program that does not use it has not imported it, and then it is not imported here either.
    """
    if "opentelemetry.trace" not in sys.modules:
        return ()
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return tuple(carrier.items())


def check_timeout(timeout: object) -> float | None:
    """Returns the timeout in seconds; None for no limit. Raises `InvalidArgumentError` unless it is above 0."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise errors.InvalidArgumentError(f"timeout is {type(timeout).__name__}; it must be a number of seconds")
    if not timeout > 0:
        raise errors.InvalidArgumentError(f"timeout is {timeout}; it must be above 0 seconds, or None for no limit")
    return float(timeout)


def check_retry(retry: object) -> Retry | None:
    """Returns the retry settings. Raises `InvalidArgumentError` if they are no valid `Retry`."""
    if retry is None:
        return None
    if not isinstance(retry, Retry):
        raise errors.InvalidArgumentError(f"retry is {type(retry).__name__}; it must be a latimer.Retry")
    if not retry.attempts >= 1:
        raise errors.InvalidArgumentError(f"retry.attempts is {retry.attempts}; it must be at least 1")
    for name, seconds in (("first_delay", retry.first_delay), ("max_delay", retry.max_delay)):
        if not (seconds >= 0 and math.isfinite(seconds)):
            raise errors.InvalidArgumentError(f"retry.{name} is {seconds}; it must be a number of seconds, at least 0")
    return retry


def retry_delay(error: errors.LatimerError, retry: Retry, failures: int) -> float | None:
    """Returns the seconds before the next try after `failures` failed ones; None if there is none."""
    is_retried = isinstance(error, _RETRIED) or (retry.overloaded and isinstance(error, errors.OverloadedError))
    if not is_retried or failures >= retry.attempts:
        return None
    return delay_after(error, retry, failures)


def delay_after(error: errors.LatimerError, retry: Retry, failures: int) -> float:
    """Returns the delay that doubles with each failure in a row; the server's own delay if that is longer."""
    import random  # most programs never retry, and the module takes a part of the time of the client's import

    backoff = min(retry.first_delay * 2.0 ** min(failures - 1, 64), retry.max_delay)
    # The jitter spreads the retries of clients that failed at the same moment.
    return max(backoff * random.uniform(0.8, 1.2), (error.retry_after or 0.0) * random.uniform(1.0, 1.2))
