"""The client's exceptions: one for each kind of gRPC status. `LatimerError` is the base of all of them.

LatimerError
  InvalidArgumentError    the request violates a rule; `violations` names each field
  NotServedError          the model or language pair does not exist; the message lists those that do
  UnsupportedError        the server does not support this part of the contract
  OverloadedError         the server is overloaded; retry after `retry_after` seconds
  ConnectionFailedError   the server cannot be reached, is starting or is shutting down
  DeadlineExceededError   the timeout passed
  CancelledError          the call was cancelled
  UnauthenticatedError    the token is missing, or the server does not accept it
  PermissionDeniedError   the server does not allow this call
  WrongLoopError          an AsyncClient is used in a second event loop
  ServerError             any other status, such as a flag of `error_flags` or a defect of the server
"""

from __future__ import annotations


class LatimerError(Exception):
    """The base of all exceptions of this package.

    `code`: the name of the gRPC status, such as "NOT_FOUND"; "" if there was no call. `reason`: the server's stable
    name of the cause, such as "NOT_SERVED"; "" if the server gave none. `violations`: pairs of a field and the violated
    rule. `retry_after`: seconds to wait before a retry; None if unknown. `request_id`: the id of the call in the
    server's log.
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
    """The request violates a rule of the contract. Also a ValueError."""


class NotServedError(LatimerError):
    """The server has no such model, or no model for this language pair."""


class UnsupportedError(LatimerError):
    """The server does not support this part of the contract."""


class OverloadedError(LatimerError):
    """The server has too many requests in work, or the message is too large."""


class ConnectionFailedError(LatimerError):
    """The server cannot be reached, is starting or is shutting down, or the client is closed."""


class DeadlineExceededError(LatimerError, TimeoutError):
    """The timeout passed before the server answered. Also a TimeoutError."""


class CancelledError(LatimerError):
    """The call was cancelled."""


class UnauthenticatedError(LatimerError):
    """The call has no token, or a token that the server does not accept."""


class PermissionDeniedError(LatimerError):
    """The server does not allow this call, such as LoadModel on a server without --admin."""


class WrongLoopError(LatimerError, RuntimeError):
    """An AsyncClient is used in a second event loop. Also a RuntimeError."""


class ServerError(LatimerError):
    """A flag of `error_flags` was raised (`code` is FAILED_PRECONDITION), or the server has a defect.

    The log of the server contains the cause of a defect under `request_id`.
    """
