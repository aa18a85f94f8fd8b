"""The end of a call: its status on the wire and its line in the log."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import grpc

from latimer_server import __version__
from latimer_server.core.access import UNKNOWN, Standing
from latimer_server.core.errors import REFUSAL_REASONS, LatimerError, OverloadBound, Overloaded, Unavailable
from latimer_server.core.telemetry import Telemetry
from latimer_server.observability.log_format import DETAILS
from latimer_server.rpc.call_record import CallRecord
from latimer_server.rpc.error_status import is_expected, serialize_status
from latimer_server.rpc.loop_bridge import CallEnded
from latimer_server.rpc.quotas.meter import QuotaUse

_log = logging.getLogger(__name__)

# gRPC clients wait this long before they retry a call that was refused with UNAVAILABLE.
_RETRY_PUSHBACK_MS = "1000"
_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED.name
# The attributes of the log record of a call, by its level. `Logger.log` would walk the stack for the place of the call
# in the code, and `LogRecord` look up its process and thread, which no line shows.
_RECORDS = {
    level: vars(logging.LogRecord(_log.name, level, __file__, 0, "call", (), None))
    for level in (logging.INFO, logging.DEBUG)
}
_CODES = {int(code.value[0]): code for code in grpc.StatusCode}


class CallStatus:
    """The status and the log line of one call.

    `is_logged`: its line is at INFO, else at DEBUG. `log_share`: the share of the calls with status OK that are logged,
    from 0 to 1. `request_id`: "" until the metadata of the call is read. `principal`: its caller, `UNKNOWN` until the
    credentials are checked. `record`: what the call has done. `quota`: its use of the quotas of
    its key; None without a key.
    """

    def __init__(
        self,
        context: grpc.ServicerContext,
        path: str,
        telemetry: Telemetry,
        *,
        is_logged: bool,
        log_share: float = 1.0,
    ) -> None:
        self.record = CallRecord(telemetry)
        self._log_share = log_share
        self.context = context
        self.request_id = ""
        self.principal = UNKNOWN
        self.quota: QuotaUse | None = None
        self._path = path
        self._level = logging.INFO if is_logged else logging.DEBUG
        self._began = time.monotonic()
        self._opened = False

    def log_begin(self) -> None:
        """Logs that the call is accepted."""
        _log.debug("call began", extra={"method": self._path})

    def open(self) -> None:
        """Sends the initial metadata, once."""
        if not self._opened:
            self._opened = True
            self.context.send_initial_metadata(self._identity())

    def succeed(self) -> None:
        """Ends the call with OK."""
        if self.quota and (left := self.quota.describe()):
            self.context.set_trailing_metadata(left)
        self.log("OK")

    def fail(self, error: BaseException) -> NoReturn:
        """Ends the call with the status of an error."""
        has_ended = isinstance(error, CallEnded) or not self.context.is_active()
        # gRPC raises an `RpcError` if the server answers a call that has ended.
        if has_ended and (is_expected(error) or isinstance(error, (CallEnded, grpc.RpcError))):
            self.log_cut()
            self.context.abort(grpc.StatusCode.CANCELLED, "")
        number, message, status = serialize_status(error, self.request_id)
        code = _CODES[number]
        if not is_expected(error):
            _log.error("call failed", exc_info=error, extra={"method": self._path})
        reason = error.reason if isinstance(error, LatimerError) else "INTERNAL"
        self.log(code.name, reason, error.bound if isinstance(error, Overloaded) else None)
        # A client retries only a call that has not begun, and initial metadata would begin it (gRFC A6). It is
        # also left out of refusals under overload, where it would cost time.
        pushback = (("grpc-retry-pushback-ms", _RETRY_PUSHBACK_MS),) if isinstance(error, Unavailable) else ()
        if not has_ended and not isinstance(error, (Unavailable, Overloaded)):
            self.open()
        left = self.quota.describe() if self.quota else ()
        details = ("grpc-status-details-bin", status)
        self.context.set_trailing_metadata((*self._identity(), *left, details, *pushback))
        self.context.abort(code, message)

    def log_cut(self) -> None:
        """Logs a call that its caller, its deadline or the end of the server has ended."""
        self.log("DEADLINE_EXCEEDED" if self.context.time_remaining() <= 0 else "CANCELLED")

    def log(self, code: str, reason: str = "", bound: OverloadBound | None = None) -> None:
        """Ends the record of the call: writes its log line, counts it and ends its span."""
        seconds = time.monotonic() - self._began
        telemetry, trace = self.record.telemetry, self.record.trace
        telemetry.note_call_end(self._path, code, seconds)
        if reason in REFUSAL_REASONS and not self.record.items:
            telemetry.note_refusal(reason, bound)
        if trace is not None:
            trace.end(code, self.record.describe())
        if not _log.isEnabledFor(self._level) or (code == "OK" and self._is_left_out()):
            return
        # The address of an unknown caller is all that tells an operator where its calls come from.
        peer = self.context.peer() if code == _UNAUTHENTICATED else ""
        describe = partial(_describe, self.record, self._path, code, seconds, reason, bound, self.principal.key, peer)
        _log.handle(_make_record(self._level, describe))

    def _is_left_out(self) -> bool:
        return self._log_share < 1.0 and random.random() >= self._log_share

    def _identity(self) -> tuple[tuple[str, str], ...]:
        """Returns the id of the call, and the version of the server unless the caller is a stranger."""
        request = ("x-request-id", self.request_id)
        if self.principal.standing is Standing.STRANGER:
            return (request,)
        return request, ("x-latimer-version", __version__)


def _make_record(level: int, describe: Callable[[], dict[str, object]]) -> logging.LogRecord:
    """Returns the log record of a call that ends now. `describe`: returns the values of its line."""
    record = logging.LogRecord.__new__(logging.LogRecord)
    now = time.time()
    vars(record).update(_RECORDS[level], created=now, msecs=int(1_000 * (now % 1)), **{DETAILS: describe})
    return record


def _describe(
    record: CallRecord,
    path: str,
    code: str,
    seconds: float,
    reason: str,
    bound: OverloadBound | None,
    key: str,
    peer: str,
) -> dict[str, object]:
    """Returns the values of a call's line."""
    values: dict[str, object] = {"method": path, "code": code, "milliseconds": round(1_000 * seconds, 1)}
    values.update(record.describe())
    if reason:
        values["reason"] = reason
    if bound is not None:
        values["bound"] = bound.value
    if key:
        values["key"] = key
    if peer:
        values["peer"] = peer
    if record.trace_id:
        values["trace_id"] = record.trace_id
    return values
