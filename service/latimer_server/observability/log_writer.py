"""Log writer: makes and writes the lines of the log in a thread of its own, so that a blocked pipe delays no call."""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
from collections.abc import Callable
from functools import partial

_MAX_WAITING_LINES = 10_000
_CLOSING_SECONDS = 2.0
_LINES_AT_ONCE = 256
_GATHER_SECONDS = 0.1

# A line, or the function that makes it.
Line = str | Callable[[], str]


class LogWriter:
    """Writes queued lines to standard error.

    It gathers the lines of `_GATHER_SECONDS` for one write. Waking the thread for each line would cost more than making
    the line, since it competes with calls for the interpreter's lock. Urgent lines, and those before them, are written
    at once. New lines are dropped while `_MAX_WAITING_LINES` lines wait.
    """

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._is_urgent = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, line: Line, *, is_urgent: bool = False) -> None:
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
            lines = [_make(line)]
            ends = False
            while len(lines) < _LINES_AT_ONCE and not ends:
                try:
                    following = self._lines.get_nowait()
                except queue.Empty:
                    break
                ends = following is None
                if following is not None:
                    lines.append(_make(following))
            with contextlib.suppress(OSError, ValueError):  # standard error is closed
                sys.stderr.write("\n".join(lines) + "\n")
                sys.stderr.flush()
            if ends:
                return


class QueueHandler(logging.Handler):
    """Queues the lines of records.

    The writer's thread makes them, many at a time: that takes a third of what it takes in the thread of a call, between
    whose lines other work fills the processor's caches. Lines with values that may change or hold memory, such as an
    exception, and urgent ones, are made at once.
    """

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def createLock(self) -> None:  # noqa: N802 (logging's name)
        """Sets no lock: the queue is thread-safe."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Queues the line of a record."""
        line: Line = partial(self.format, record)
        is_urgent = record.levelno >= logging.WARNING
        if is_urgent or record.exc_info or record.args:
            line = _make(line)
        self._writer.put(line, is_urgent=is_urgent)


def _make(line: Line) -> str:
    """Returns a line. One that cannot be made must fail neither its call nor the lines after it."""
    if isinstance(line, str):
        return line
    try:
        return line()
    except Exception as error:  # noqa: BLE001
        return f"a line of the log could not be made: {type(error).__name__}"
