"""The client's exceptions, each made of a gRPC status. Catch `LatimerError` to catch them all.

LatimerError
  InvalidArgumentError    the request breaks a rule; `violations` names each field
  NotServedError          no such model or language pair; the message says what there is
  UnsupportedError        the server does not serve this part of the contract
  OverloadedError         the server refused at once; try again after `retry_after` seconds
  ConnectionFailedError   the server cannot be reached, starts or drains
  DeadlineExceededError   the timeout passed
  CancelledError          the call was cancelled
  UnauthenticatedError    no token, or one the server does not know
  PermissionDeniedError   the token does not allow this
  ServerError             anything else: a fault of the server's
"""

from __future__ import annotations


class LatimerError(Exception):
    """Base of all exceptions of this package.

    `code`: the gRPC status' name, "" where there was no call. `reason`: the server's stable name of what
    went wrong. `violations`: pairs of field and rule. `retry_after`: seconds, None where not known.
    `request_id`: what to tell whoever runs the server.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        violations: tuple[tuple[str, str], ...] = (),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.violations = violations
        self.retry_after = retry_after
        self.request_id = request_id


class InvalidArgumentError(LatimerError, ValueError):
    """The request breaks a rule of the contract."""


class NotServedError(LatimerError):
    """There is no such model, or no model for this language pair."""


class UnsupportedError(LatimerError):
    """The server does not serve this part of the contract."""


class OverloadedError(LatimerError):
    """The server has more requests than it admits, or the message is too large."""


class ConnectionFailedError(LatimerError):
    """The server cannot be reached, is starting or is draining."""


class DeadlineExceededError(LatimerError, TimeoutError):
    """The timeout passed before the answer came."""


class CancelledError(LatimerError):
    """The call was cancelled."""


class UnauthenticatedError(LatimerError):
    """The call carries no token that the server knows."""


class PermissionDeniedError(LatimerError):
    """The token does not allow this."""


class ServerError(LatimerError):
    """A fault of the server's; its log has the cause under `request_id`."""
