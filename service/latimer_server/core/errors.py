"""The exceptions of the domain, each carrying what its caller must be told.

Knows nothing of gRPC: `interceptors` maps each class to a status. The tree:

    LatimerError
      InvalidRequest        the request breaks a rule; names each field and limit
      Unsupported           the contract has it, this server does not serve it
      NotServed             no model for this name or language pair; names what there is
      Overloaded            try again after `retry_after` seconds
      Unavailable           starting or draining
      DeadlineExceeded      the caller's time is over
      Unauthenticated       no or wrong credentials
      PermissionDenied      the server's own switch for it is off
      ModelError            a model cannot be used
        ModelFileError      a file of a model is missing, changed or malformed
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One broken rule: the path of the field and what the rule is."""

    field: str
    description: str


class LatimerError(Exception):
    """Base of all errors whose text may be shown to a caller.

    `reason` is stable, UPPER_SNAKE, and travels as `google.rpc.ErrorInfo.reason`.
    """

    reason = "INTERNAL"


class InvalidRequest(LatimerError):
    """The request as a whole, or one item of it, breaks a rule of the contract."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, *violations: Violation) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))


class Unsupported(LatimerError):
    """The contract defines it; this server does not serve it (yet)."""

    reason = "UNSUPPORTED_FEATURE"


class NotServed(LatimerError):
    """No model serves this name or this language pair."""

    reason = "NOT_SERVED"


class Overloaded(LatimerError):
    """More requests than the server admits; nothing of this one was done."""

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Unavailable(LatimerError):
    """The server is starting or draining; another try may succeed."""

    reason = "UNAVAILABLE"


class DeadlineExceeded(LatimerError):
    """The deadline passed before the work was done."""

    reason = "DEADLINE_EXCEEDED"


class Unauthenticated(LatimerError):
    """The call carries no credentials, or wrong ones."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(LatimerError):
    """The caller may not do this, whoever it is: the server's switch for it is off."""

    reason = "ADMIN_DISABLED"


class ModelError(LatimerError):
    """A model cannot be used; names the model where it is known."""

    reason = "MODEL_FAILED"


class ModelFileError(ModelError):
    """A file of a model is missing, changed, malformed or of an unsupported kind."""

    reason = "MODEL_FILE"

    def __init__(self, file: str, problem: str) -> None:
        self.file = file
        self.problem = problem
        super().__init__(f"{file}: {problem}")


class OverlongSegment(LatimerError):
    """A segment is longer than the model reads, and the caller asked for an error then."""

    reason = "SEGMENT_OVERLONG"


class FlaggedAsError(LatimerError):
    """A flag was raised that the caller turned into an error."""

    reason = "FLAGGED"
