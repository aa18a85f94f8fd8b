"""Sets up channels (options, retries, credentials) and converts gRPC errors to the client's exceptions."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from latimer import errors
from latimer.types import TLS

Metadata = tuple[tuple[str, str], ...]

# Only UNAVAILABLE is retried: it says that the same call may succeed a moment later.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "3s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
        # `_ledger` resumes streams: it knows which items have results. A retry by gRPC would send all of them again.
        {"name": [{"service": "latimer.v1.TranslationService", "method": "StreamTranslateText"}]},
    ]
}
# The size of received messages has no limit here: a response with all segments may be many times larger than its
# request. The server limits the number of segments.
OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.max_receive_message_length", -1),
)

_ERRORS: dict[int, type[errors.LatimerError]] = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: errors.InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND.value[0]: errors.NotServedError,
    grpc.StatusCode.UNIMPLEMENTED.value[0]: errors.UnsupportedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: errors.OverloadedError,
    grpc.StatusCode.UNAVAILABLE.value[0]: errors.ConnectionFailedError,
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: errors.DeadlineExceededError,
    grpc.StatusCode.CANCELLED.value[0]: errors.CancelledError,
    grpc.StatusCode.UNAUTHENTICATED.value[0]: errors.UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED.value[0]: errors.PermissionDeniedError,
}
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def closed_error() -> errors.LatimerError:
    """Returns the error of a call on a closed client."""
    return errors.ConnectionFailedError("the client is closed")


def to_credentials(tls: TLS | None) -> grpc.ChannelCredentials | None:
    """Returns the credentials of a channel; None for plaintext."""
    if tls is None:
        return None
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)


def to_metadata(token: str | None) -> Metadata:
    """Returns the metadata of every call."""
    return (("authorization", f"Bearer {token}"),) if token else ()


def add_trace(metadata: Metadata) -> Metadata:
    """Returns the metadata with the current trace context (W3C Trace Context), if the program uses OpenTelemetry.

    A program that does not use it has not imported it, and then it is not imported here either.
    """
    if "opentelemetry.trace" not in sys.modules:
        return metadata
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return (*metadata, *carrier.items())


def convert_call_error(error: Any) -> errors.LatimerError:
    """Converts the error of a failed call. `error` is a `grpc.Call` or a `grpc.aio.AioRpcError`, which have no common
    type.

    The reason, violations and delay come from the trailing metadata `grpc-status-details-bin`.
    """
    code: grpc.StatusCode = error.code()
    status = status_pb2.Status(code=code.value[0], message=error.details() or "")
    trailing = dict(error.trailing_metadata() or ())
    packed = trailing.get("grpc-status-details-bin")
    if isinstance(packed, bytes):
        with contextlib.suppress(DecodeError):  # a proxy may have written other bytes
            status.ParseFromString(packed)
    converted = convert_status(status, str(trailing.get("x-request-id", "")))
    pushback = str(trailing.get("grpc-retry-pushback-ms", ""))
    if converted.retry_after is None and pushback.isascii() and pushback.isdigit():
        converted.retry_after = int(pushback) / 1_000
    return converted


def convert_status(status: status_pb2.Status, request_id: str = "") -> errors.LatimerError:
    """Converts the status of a call or an item to the client's exception."""
    reason = ""
    violations: tuple[tuple[str, str], ...] = ()
    retry_after: float | None = None
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad):
            violations = tuple((violation.field, violation.description) for violation in bad.field_violations)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToMilliseconds() / 1_000
    return _ERRORS.get(status.code, errors.ServerError)(
        status.message or _NAMES.get(status.code, "unknown error"),
        code=_NAMES.get(status.code, str(status.code)),
        reason=reason,
        violations=violations,
        retry_after=retry_after,
        request_id=request_id,
    )
