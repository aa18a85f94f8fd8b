"""Log lines: console or JSON, each with the request's id, never with a user's text.

Exceptions are logged by their type and where they were raised; their messages may quote what was being
worked on, so they are left out.
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
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

from latimer_server.config.settings import LogFormat

# Set by the interceptor for the life of a call; tasks inherit it.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_MAX_WAITING_LINES = 10_000
_CLOSING_SECONDS = 2.0
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id"}
_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure_logging(style: LogFormat, level: str) -> LogWriter:
    """Sends the log to standard error in this style. Called once, by the command line, which closes it."""
    writer = LogWriter()
    handler = _QueueHandler(writer.queue)
    handler.setFormatter(_Json() if style is LogFormat.JSON else _Console())
    handler.addFilter(_add_request_id)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    writer.start()
    return writer


class LogWriter(threading.Thread):
    """Writes lines to standard error in a thread of its own: whoever reads them slowly, or not at all,
    stops no call. Past `_MAX_WAITING_LINES` lines are dropped."""

    def __init__(self) -> None:
        super().__init__(name="log", daemon=True)
        self.queue: queue.Queue[logging.LogRecord | None] = queue.Queue(_MAX_WAITING_LINES)

    def run(self) -> None:
        """Writes until `close`."""
        while (record := self.queue.get()) is not None:
            sys.stderr.write(f"{record.getMessage()}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Writes what waits, for a moment at most: a log that nobody reads must not keep the process."""
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(None)
            self.join(_CLOSING_SECONDS)


class _QueueHandler(logging.handlers.QueueHandler):
    """Formats a line where it is logged, as what it needs is there, and leaves the writing to the writer."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Drops the line when nobody reads the log."""
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


def describe_exception(error: BaseException) -> str:
    """The type of an exception and of its causes, and where each was raised; no message, no values."""
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


class _WithoutMessages(logging.Formatter):
    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 (logging's name)
        """The exception without its message."""
        return describe_exception(ei[1]) if ei[1] else ""


class _Console(_WithoutMessages):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line, with what was given as `extra` as key=value."""
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if rid := getattr(record, "request_id", ""):
            extra["request_id"] = rid
        return " ".join([super().formatMessage(record), *(f"{key}={value}" for key, value in extra.items())])


class _Json(_WithoutMessages, JsonFormatter):
    def __init__(self) -> None:
        JsonFormatter.__init__(
            self,
            "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
