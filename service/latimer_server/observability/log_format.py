"""Log format: writes log lines as plain text or JSON, with the request's id and without any text of a user.

An exception is logged by its type and its place in the code. Its message is left out: it may quote a user's text.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import queue
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

from latimer_server.config.settings import LogFormat

# Set by the handler of calls for the duration of a call. Tasks that the call creates inherit it.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_MAX_WAITING_LINES = 10_000
_CLOSING_SECONDS = 2.0
_METADATA_LOGGER = "grpc._cython.cygrpc"
# Attributes of a log record that are not from `extra`. The console format leaves them out of its key=value pairs.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id"}
_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure_logging(style: LogFormat, level: str) -> LogWriter:
    """Sends all log records of this level and above to standard error, and returns the `LogWriter` that writes them.

    Replaces all handlers of the root logger. Call it once per process. The caller must close the writer.
    """
    writer = LogWriter()
    handler = _QueueHandler(writer.queue)
    handler.setFormatter(_Json() if style is LogFormat.JSON else _Console())
    handler.addFilter(_add_request_id)
    handler.addFilter(_hide_library_values)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # gRPC writes one line with a stack for each entry of metadata that is not UTF-8, of which a call may have hundreds.
    logging.getLogger(_METADATA_LOGGER).setLevel(logging.CRITICAL + 1)
    writer.start()
    return writer


class LogWriter(logging.handlers.QueueListener):
    """Writes queued lines to standard error in a thread of its own, so that a blocked pipe delays no call.

    New lines are dropped while `_MAX_WAITING_LINES` lines wait.
    """

    def __init__(self) -> None:
        super().__init__(queue.Queue(_MAX_WAITING_LINES))

    def handle(self, record: logging.LogRecord) -> None:
        """Writes one formatted line.

        Uses no handler of `logging`: a write that blocks would hold the handler's lock, and `logging.shutdown` would
        wait for it when the process exits.
        """
        sys.stderr.write(f"{record.getMessage()}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Writes the queued lines and ends the thread.

        Gives up after `_CLOSING_SECONDS`, because a blocked pipe must not keep the process alive.
        """
        # `stop` has no timeout, so it runs in a daemon thread.
        stopper = threading.Thread(target=self._stop_unless_full, name="log-close", daemon=True)
        stopper.start()
        stopper.join(_CLOSING_SECONDS)

    def _stop_unless_full(self) -> None:
        with contextlib.suppress(queue.Full):  # a full queue: standard error is blocked
            self.stop()


class _QueueHandler(logging.handlers.QueueHandler):
    """Formats a record in the thread that logs it, where the request's id is known, and queues the line."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queues the line, or drops it if the queue is full."""
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


def describe_exception(error: BaseException) -> str:
    """Returns the type and the stack of an exception and of each of its causes, without messages or values.

    A stack is a list of `file:line function`, the innermost call first.
    """
    parts = []
    current: BaseException | None = error
    while current is not None:
        frames = traceback.extract_tb(current.__traceback__)
        where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        parts.append(f"{type(current).__name__} at {where or 'unknown'}")
        current = current.__cause__ or current.__context__
    return " caused by ".join(parts)


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = request_id.get()
    return True


def _hide_library_values(record: logging.LogRecord) -> bool:
    """Leaves the values out of gRPC's own messages: they quote metadata of callers, such as tokens."""
    if record.name.partition(".")[0] == "grpc":
        record.msg = f"{record.name}: {str(record.msg).partition('%')[0].strip()}"
        record.args = ()
    return True


class _WithoutMessages(logging.Formatter):
    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 (logging's name)
        """Returns the description of an exception without its message."""
        return describe_exception(ei[1]) if ei[1] else ""


class _Console(_WithoutMessages):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Returns the log line, followed by the record's `extra` values and the request's id as key=value."""
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if current_id := getattr(record, "request_id", ""):
            extra["request_id"] = current_id
        return " ".join([super().formatMessage(record), *(f"{key}={value}" for key, value in extra.items())])


class _Json(_WithoutMessages, JsonFormatter):
    def __init__(self) -> None:
        JsonFormatter.__init__(
            self,
            "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (logging's name)
        """Returns the time of a record in UTC, as RFC 3339 writes it, with milliseconds."""
        del datefmt
        time = datetime.fromtimestamp(record.created, UTC)
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
