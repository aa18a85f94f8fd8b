"""The error table: converts the domain's exceptions to `google.rpc.Status` messages with details.

Every status carries an ErrorInfo with the exception's `reason`. An exception that is not in the table becomes an opaque
INTERNAL status, so that its text never reaches the caller.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from latimer_server.core import errors
from latimer_server.core.errors import FlaggedAsError, OverlongSegment
from latimer_server.core.escaping import escape_unprintable
from latimer_server.rpc.health import UnknownService

_DOMAIN = "latimer"
# The most code points of a status message, violations in a status, and code points of a violation's description. They
# keep a status within gRPC's default limit of 8 KiB for metadata, in which the message appears twice: in grpc-message
# and in grpc-status-details-bin.
_MAX_MESSAGE_CHARACTERS = 1_000
MAX_VIOLATIONS = 16
_MAX_DESCRIPTION_CHARACTERS, _MAX_FIELD_CHARACTERS = 160, 160
# The gRPC status code of each exception. The first class that matches decides.
_CODES: tuple[tuple[type[errors.LatimerError], int], ...] = (
    (errors.InvalidRequest, code_pb2.INVALID_ARGUMENT),
    (errors.Unsupported, code_pb2.UNIMPLEMENTED),
    (errors.NotServed, code_pb2.NOT_FOUND),
    (UnknownService, code_pb2.NOT_FOUND),
    (errors.Overloaded, code_pb2.RESOURCE_EXHAUSTED),
    (errors.Unavailable, code_pb2.UNAVAILABLE),
    (errors.DeadlineExceeded, code_pb2.DEADLINE_EXCEEDED),
    (errors.Unauthenticated, code_pb2.UNAUTHENTICATED),
    (errors.PermissionDenied, code_pb2.PERMISSION_DENIED),
    (OverlongSegment, code_pb2.INVALID_ARGUMENT),
    (FlaggedAsError, code_pb2.FAILED_PRECONDITION),
)


def to_status(error: BaseException, request_id: str) -> status_pb2.Status:
    """Returns the `google.rpc.Status` message of an error.

    An error that is not in the table becomes INTERNAL, and its message names the request id only.
    """
    for kind, code in _CODES:
        if isinstance(error, kind):
            return _pack(code, str(error), error.reason, _details(error))
    return _pack(code_pb2.INTERNAL, f"internal error; request id {request_id}", "INTERNAL", [])


def serialize_status(error: BaseException, request_id: str) -> tuple[int, str, bytes]:
    """Returns the code, the message and the serialized `google.rpc.Status` of an error, see `to_status`."""
    if type(error) in (errors.Overloaded, errors.TooLate):
        refusal = cast(errors.Overloaded, error)
        return _serialize_refusal(str(refusal), refusal.retry_after, refusal.reason)
    return _serialize(to_status(error, request_id))


@lru_cache(maxsize=256)
def _serialize_refusal(message: str, retry_after: float, reason: str) -> tuple[int, str, bytes]:
    """Under overload many refusals are alike, and packing their details takes 70 us."""
    refusal = errors.Overloaded(message, retry_after)
    refusal.reason = reason
    return _serialize(to_status(refusal, ""))


def _serialize(status: status_pb2.Status) -> tuple[int, str, bytes]:
    return status.code, status.message, status.SerializeToString()


def is_expected(error: BaseException) -> bool:
    """Returns True if the table contains the error. Any other error is a defect of the server and must be logged."""
    return isinstance(error, tuple(kind for kind, _ in _CODES))


def _details(error: errors.LatimerError) -> list[Message]:
    if isinstance(error, errors.InvalidRequest):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_show(violation.field, _MAX_FIELD_CHARACTERS),
                description=_show(violation.description, _MAX_DESCRIPTION_CHARACTERS),
            )
            for violation in error.violations[:MAX_VIOLATIONS]
        ]
        return [error_details_pb2.BadRequest(field_violations=violations)]
    if not isinstance(error, errors.Overloaded):
        return []
    details: list[Message] = []
    if error.retry_after > 0:
        delay = Duration()
        delay.FromMilliseconds(math.ceil(error.retry_after * 1_000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, errors.QuotaExceeded):
        subject, description = f"key:{error.key}", f"{error.quota}: at most {error.limit:,}"
        violation = error_details_pb2.QuotaFailure.Violation(subject=subject, description=description)
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    return details


def _pack(code: int, message: str, reason: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=_show(message, _MAX_MESSAGE_CHARACTERS))
    for detail in [error_details_pb2.ErrorInfo(reason=reason, domain=_DOMAIN), *details]:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _show(text: str, max_characters: int) -> str:
    """Returns a text for a status. It may repeat what the caller has sent, so controls are escaped."""
    shown = escape_unprintable(text[: max_characters + 1])
    return shown if len(shown) <= max_characters else f"{shown[:max_characters]} ..."
