"""Converts gRPC's statuses to the client's exceptions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from latimer import errors

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
# Likely causes of a failed connection, by a part of gRPC's details.
_CAUSES = {
    "Connection refused": "is the server running?",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS; leave out tls",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted; give TLS(root_certificates=...)",
    "Hostname Verification": "its certificate has another name than the address",
    "Failed to create security handshaker": "the certificates or keys of TLS(...) are not valid PEM",
    "Socket closed": "it closed the connection; does it want tls=TLS()?",
    "Domain name not found": "there is no host of this name",
}
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def convert_call_error(error: Any, address: str = "") -> errors.LatimerError:
    """Converts the error of a failed call to `address`. `error` is a `grpc.Call` or a `grpc.aio.AioRpcError`, which
    have no common type.

    The reason, violations and delay come from the trailing metadata `grpc-status-details-bin`.
    """
    code: grpc.StatusCode = error.code()
    status = status_pb2.Status(code=code.value[0], message=error.details() or "")
    trailing = dict(error.trailing_metadata() or ())
    packed = trailing.get("grpc-status-details-bin")
    if isinstance(packed, bytes):
        with contextlib.suppress(DecodeError):  # a proxy may have written other bytes
            status.ParseFromString(packed)
    request_id = read_request_id(error)
    if address and code is grpc.StatusCode.UNAVAILABLE and not (request_id or packed):
        # No server of ours wrote this status, so the connection failed.
        status.message = f"no connection to {address}: {_explain(status.message)}"
    converted = convert_status(status, request_id)
    pushback = str(trailing.get("grpc-retry-pushback-ms", ""))
    if converted.retry_after is None and pushback.isascii() and pushback.isdigit():
        converted.retry_after = int(pushback) / 1_000
    return converted


def _explain(details: str) -> str:
    """Adds the likely cause of a failed connection to gRPC's details."""
    cause = next((cause for sign, cause in _CAUSES.items() if sign in details), None)
    return f"{cause} ({details})" if cause else details


def read_request_id(call: Any) -> str:
    """Returns the id that the server gave a call; "" if it gave none. `call` is a finished synchronous call or an
    `AioRpcError`."""
    for metadata in (call.trailing_metadata(), call.initial_metadata()):
        if found := find_request_id(metadata):
            return found
    return ""


def find_request_id(metadata: Any) -> str:
    """Returns the id of a call from its metadata; "" if it has none."""
    pairs: Mapping[str, Any] = dict(metadata or ())
    return str(pairs.get("x-request-id", ""))


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
