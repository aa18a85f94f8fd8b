"""Log format: writes log lines as plain text or JSON, with the request's id and without any text of a user.

An exception is logged by its type and its place in the code. Its message is left out: it may quote a user's text.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from contextvars import ContextVar
from types import TracebackType

from latimer_server.config.settings import LogFormat
from latimer_server.core.escaping import escape_unprintable
from latimer_server.observability.log_writer import LogWriter, QueueHandler

# Set by the handler of calls for the duration of a call. Tasks that the call creates inherit it.
request_id: ContextVar[str] = ContextVar("request_id", default="")

# The name of an `extra` value that is a function. It returns the values of the record, when its line is made.
DETAILS = "describe_details"
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
    handler = QueueHandler(writer)
    handler.setFormatter(_Json() if style is LogFormat.JSON else _Console())
    handler.addFilter(_prepare)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # gRPC writes one line with a stack for each entry of metadata that is not UTF-8, of which a call may have hundreds.
    logging.getLogger(_METADATA_LOGGER).setLevel(logging.CRITICAL + 1)
    writer.start()
    return writer


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


def _prepare(record: logging.LogRecord) -> bool:
    """Adds the id of the request. Leaves the values out of gRPC's own messages, which quote metadata of callers."""
    record.request_id = request_id.get()
    if record.name == "grpc" or record.name.startswith("grpc."):
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
        extra = _list_values(record)
        if current_id := getattr(record, "request_id", ""):
            extra["request_id"] = current_id
        values = (f"{key}={escape_unprintable(str(value))}" for key, value in extra.items())
        return " ".join([super().formatMessage(record), *values])


class _Json(_WithoutMessages):
    """One JSON object a line. Times are in UTC as RFC 3339 writes them, with milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        # The last second and its time in words: lines of one second share it. One value, since threads share it too.
        self._second = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        second, milliseconds = divmod(int(1_000 * record.created), 1_000)
        known, written = self._second
        if second != known:
            written = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, written
        values = {
            "time": f"{written}.{milliseconds:03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
        }
        values.update(_list_values(record))
        if record.exc_info:
            values["exc_info"] = self.formatException(record.exc_info)
        return _encode(values)


def _list_values(record: logging.LogRecord) -> dict[str, object]:
    """Returns the `extra` values of a record."""
    if (describe := getattr(record, DETAILS, None)) is not None:
        described: dict[str, object] = describe()
        return described
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
