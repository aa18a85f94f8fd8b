"""Exceptions of the server. Their messages may be sent to callers.

They are independent of gRPC; the `rpc` package maps each class to a status code. The class hierarchy:

    LatimerError
      InvalidRequest        the request breaks a rule; names each field and its limit
      Unsupported           the contract defines the feature, but this server does not implement it
      NotServed             no model serves the name, language pair or task, or it is not fetched or failed to load
      Overloaded            the server is busy; retry after `retry_after` seconds
        QuotaExceeded       the quota of the caller's key is used up
        TooLate             the work before the request leaves too little time for its deadline
      Unavailable           the server is starting or draining
        QuotaUnknown        quotas cannot be counted, and the server's settings then refuse calls
      DeadlineExceeded      the call's deadline has passed
      Unauthenticated       the credentials are missing or wrong
        KeyExpired          the caller's key has expired
        CertificateInvalid  the certificate of the caller's connection has expired or is not trusted any more
      PermissionDenied      the server's settings disable the method
        ScopeMissing        the caller's key does not open the method
      OverlongSegment       a segment is too long, and the caller asked for an error in this case
      FlaggedAsError        a flag was raised that the caller asked to be an error
      ModelError            a model cannot be used
        ModelFileError      a file of a model is missing, changed or malformed
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum

from latimer_server.core.access import Quota, Scope

QUOTA_REASONS = {
    Quota.REQUESTS: "QUOTA_REQUESTS",
    Quota.CHARACTERS: "QUOTA_CHARACTERS",
    Quota.CONCURRENT: "QUOTA_CONCURRENT",
}
# The reasons of calls that are refused before any work is done for them. The set is fixed, so that metrics may use it.
REFUSAL_REASONS = frozenset(QUOTA_REASONS.values()) | {
    "INVALID_ARGUMENT",
    "UNSUPPORTED_FEATURE",
    "NOT_SERVED",
    "OVERLOADED",
    "DEADLINE_TOO_SHORT",
    "UNAVAILABLE",
    "QUOTA_STORE",
    "UNAUTHENTICATED",
    "KEY_EXPIRED",
    "CERTIFICATE_INVALID",
    "ADMIN_DISABLED",
    "SCOPE_MISSING",
}


class OverloadBound(StrEnum):
    """The bound at which a call is refused with `Overloaded`: the name of its setting, if it has one.

    The set is fixed, so that metrics may use it.
    """

    REQUESTS = "max_requests"
    STREAMS = "max_streams"
    WATCHES = "max_watches"
    REFLECTIONS = "reflection_streams"
    CALLS = "concurrent_calls"
    ARRIVING = "arriving_messages"
    UNREAD_ANSWERS = "unread_answers"
    UNREAD_BYTES = "unread_bytes"
    TEXTS = "waiting_texts"
    QUEUE = "queue_wait"
    METADATA = "metadata_bytes"
    LISTED = "listed_services"


@dataclass(frozen=True)
class Violation:
    """A rule that a request breaks. `field`: the field's path, such as `contents[0]`. `description`: the rule."""

    field: str
    description: str


class LatimerError(Exception):
    """Base of all errors whose message may be sent to a caller.

    `reason` is sent as `google.rpc.ErrorInfo.reason`. It is in UPPER_SNAKE case and never changes.
    """

    reason = "INTERNAL"


class InvalidRequest(LatimerError):
    """The request, or one item of it, breaks rules of the contract."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, *violations: Violation) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field}: {v.description}" if v.field else v.description for v in violations))


class Unsupported(LatimerError):
    """The contract defines this feature, but this server does not implement it."""

    reason = "UNSUPPORTED_FEATURE"


class NotServed(LatimerError):
    """No model serves the requested name, language pair or task, or the model is not fetched or failed to load."""

    reason = "NOT_SERVED"


class Overloaded(LatimerError):
    """The server has too many requests. No work was done for this one.

    `retry_after`: seconds until the caller should retry; 0 if the same call would be refused again. `bound`: the bound
    that is reached, for logs and metrics.
    """

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_after: float, bound: OverloadBound | None = None) -> None:
        self.retry_after = retry_after
        self.bound = bound
        super().__init__(message)


class QuotaExceeded(Overloaded):
    """The quota of the caller's key is used up. The reason names the quota.

    `key`: the name of the key. `limit`: its quota.
    """

    def __init__(self, quota: Quota, key: str, limit: int, message: str, retry_after: float) -> None:
        self.quota = quota
        self.key = key
        self.limit = limit
        self.reason = QUOTA_REASONS[quota]
        super().__init__(message, retry_after)


class TooLate(Overloaded):
    """The work before this request leaves too little time for its deadline.

    `characters`: the length of the request in code points. `repeat` raises the error again while it holds for a request
    of so many code points, of this caller and with this deadline (a reading of the monotonic clock). Any thread may
    call it.
    """

    reason = "DEADLINE_TOO_SHORT"

    def __init__(
        self,
        message: str,
        retry_after: float,
        characters: int,
        repeat: Callable[[int, Hashable, float | None], None],
    ) -> None:
        self.characters = characters
        self.repeat = repeat
        super().__init__(message, retry_after)


class Unavailable(LatimerError):
    """The server is starting or draining. A retry may succeed."""

    reason = "UNAVAILABLE"


class QuotaUnknown(Unavailable):
    """The quotas cannot be counted, because their store does not answer."""

    reason = "QUOTA_STORE"


class DeadlineExceeded(LatimerError):
    """The deadline passed before the call was finished."""

    reason = "DEADLINE_EXCEEDED"


class Unauthenticated(LatimerError):
    """The call's credentials are missing or wrong."""

    reason = "UNAUTHENTICATED"


class KeyExpired(Unauthenticated):
    """The caller's key has expired."""

    reason = "KEY_EXPIRED"


class CertificateInvalid(Unauthenticated):
    """The certificate of the caller's connection has expired, or its authority is not trusted any more."""

    reason = "CERTIFICATE_INVALID"


class PermissionDenied(LatimerError):
    """The server's settings disable this method for every caller."""

    reason = "ADMIN_DISABLED"


class ScopeMissing(PermissionDenied):
    """The caller's key does not open this method."""

    reason = "SCOPE_MISSING"

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"the key lacks the scope `{scope}`, which this method needs")


class ModelError(LatimerError):
    """A model cannot be used."""

    reason = "MODEL_FAILED"


class ModelFileError(ModelError):
    """A file of a model is missing, changed, malformed or of an unsupported kind.

    `file`: the name of the model and the file, such as `m2m100/config.json`. `problem`: the predicate of a sentence
    about that file, such as "is missing".
    """

    reason = "MODEL_FILE"

    def __init__(self, file: str, problem: str) -> None:
        self.file = file
        self.problem = problem
        super().__init__(f"{file}: {problem}")


class OverlongSegment(LatimerError):
    """A segment is longer than the model's input, and the caller asked for an error in this case."""

    reason = "SEGMENT_OVERLONG"


class FlaggedAsError(LatimerError):
    """A flag was raised that the caller asked to be an error."""

    reason = "FLAGGED"
