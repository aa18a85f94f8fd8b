"""Runs the command `latimer` in the process of the tests, which takes a fraction of the time of a new process."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

from latimer.cli import run


@dataclass(frozen=True)
class Done:
    """The end of a command."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run_command(*arguments: str, stdin: bytes = b"", encoding: str = "utf-8") -> Done:
    """Runs the command. `encoding`: of its standard streams, as a terminal may have it."""
    streams: dict[str, Any] = {
        "stdin": io.TextIOWrapper(io.BytesIO(stdin), encoding),
        "stdout": io.TextIOWrapper(io.BytesIO(), encoding),
        "stderr": io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace"),
    }
    with mock.patch.multiple(sys, argv=["latimer", *arguments], **streams):
        try:
            run()
            status: object = 0
        except SystemExit as end:
            status = end.code or 0
    written = [_take(streams[name]) for name in ("stdout", "stderr")]
    if not isinstance(status, int):  # `sys.exit` with a message
        return Done(1, written[0], written[1] + f"{status}\n".encode())
    return Done(status, written[0], written[1])


def _take(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def lines(done: Done) -> Sequence[str]:
    """Returns the lines of standard error."""
    return done.stderr.decode().splitlines()
