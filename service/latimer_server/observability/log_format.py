"""Log format: writes log lines as plain text or JSON, with the request's id and without any text of a user.

An exception is logged by its type and its place in the code. Its message is left out: it may quote a user's text.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

from latimer_server.config.settings import LogFormat
from latimer_server.core.escaping import escape_unprintable

# Set by the handler of calls for the duration of a call. Tasks that the call creates inherit it.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_MAX_WAITING_LINES = 10_000
_CLOSING_SECONDS = 2.0
_LINES_AT_ONCE = 256
_GATHER_SECONDS = 0.1
_UTC = "+00:00"
_encode = json.JSONEncoder(default=str).encode
_METADATA_LOGGER = "grpc._cython.cygrpc"
# Attributes of a log record that are not from `extra`. The console format leaves them out of its key=value pairs.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id"}
_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure_logging(style: LogFormat, level: str) -> LogWriter:
    """Sends all log records of this level and above to standard error, and returns the `LogWriter` that writes them.

    Replaces all handlers of the root logger. Call it once per process. The caller must close the writer.
    """
    # No line shows them, and logging asks for them at each record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    writer = LogWriter()
    handler = _QueueHandler(writer)
    handler.setFormatter(_Json() if style is LogFormat.JSON else _Console())
    handler.addFilter(_add_request_id)
    handler.addFilter(_hide_library_values)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # gRPC writes one line with a stack for each entry of metadata that is not UTF-8, of which a call may have hundreds.
    logging.getLogger(_METADATA_LOGGER).setLevel(logging.CRITICAL + 1)
    writer.start()
    return writer


class LogWriter:
    """Writes queued lines to standard error in a thread of its own, so that a blocked pipe delays no call.

    It gathers the lines of `_GATHER_SECONDS` for one write. Waking the thread for each line would cost more than making
    the line, since it competes with calls for the interpreter's lock. Urgent lines, and those before them, are written
    at once. New lines are dropped while `_MAX_WAITING_LINES` lines wait.
    """

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_urgent = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, line: str, *, is_urgent: bool = False) -> None:
        """Queues a line without its line break, or drops it if too many lines wait. Never blocks."""
        if self._lines.qsize() < _MAX_WAITING_LINES:
            self._lines.put(line)
        if is_urgent:
            self._is_urgent.set()

    def close(self) -> None:
        """Writes the queued lines and ends the thread.

        Gives up after `_CLOSING_SECONDS`, because a blocked pipe must not keep the process alive.
        """
        self._lines.put(None)
        self._is_urgent.set()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        """Writes until `close`. Lines that wait together are one write.

        Uses no handler of `logging`: a write that blocks would hold the handler's lock, and `logging.shutdown` would
        wait for it when the process exits.
        """
        while (line := self._lines.get()) is not None:
            if self._lines.qsize() < _LINES_AT_ONCE:
                self._is_urgent.wait(_GATHER_SECONDS)
                self._is_urgent.clear()
            lines = [line]
            ends = False
            while len(lines) < _LINES_AT_ONCE and not ends:
                try:
                    following = self._lines.get_nowait()
                except queue.Empty:
                    break
                ends = following is None
                if following is not None:
                    lines.append(following)
            with contextlib.suppress(OSError, ValueError):  # standard error is closed
                sys.stderr.write("\n".join(lines) + "\n")
                sys.stderr.flush()
            if ends:
                return


class _QueueHandler(logging.Handler):
    """Formats a record in the thread that logs it, where the request's id is known, and queues the line."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def createLock(self) -> None:  # noqa: N802 (logging's name)
        """Sets no lock: the queue is thread-safe."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Queues the line of a record."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 (a record that cannot be formatted must not fail the call)
            self.handleError(record)
            return
        self._writer.put(line, is_urgent=record.levelno >= logging.WARNING)


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
        """Returns the log line, followed by the record's `extra` values and the request's id as key=value.

        Line breaks and controls in values are escaped, so that a record stays one line and leaves the terminal alone.
        """
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if current_id := getattr(record, "request_id", ""):
            extra["request_id"] = current_id
        values = (f"{key}={escape_unprintable(str(value))}" for key, value in extra.items())
        return " ".join([super().formatMessage(record), *values])


class _Json(_WithoutMessages):
    """One JSON object a line. Times are in UTC as RFC 3339 writes them, with milliseconds."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        values = {
            "time": f"{time[: -len(_UTC)]}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
        }
        values.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            values["exc_info"] = self.formatException(record.exc_info)
        return _encode(values)
