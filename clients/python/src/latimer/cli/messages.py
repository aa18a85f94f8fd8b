"""Messages on standard error, and the exit statuses that go with them."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer
from rich.console import Console

from latimer.batch.results import BatchError, OutputError
from latimer.cli.connection import Connection
from latimer.errors import LatimerError
from latimer.files import FileError

FAILED = 1
USAGE = 2
SERVER = 3  # also the disk; the same command may succeed later
STOPPED = 130

# The narrowest terminal in whose columns a table can be read.
NARROWEST_TABLE = 60
# Wider than any table.
_WHOLE_LINES = 100_000

# Errors of a server by gRPC status.
_EXPLANATIONS = {
    "DEADLINE_EXCEEDED": "{address} did not answer in time; try a larger --timeout",
    "RESOURCE_EXHAUSTED": "{address} is too busy, or your quota is used up; try again {seconds}: {error}",
    "UNIMPLEMENTED": "{address} does not support this: {error}; is it an older version?",
    "UNAUTHENTICATED": "{address} wants a token, or does not accept yours; set --token or LATIMER_TOKEN",
    "PERMISSION_DENIED": "{address} does not allow this: {error}",
}
# The option of each field of the contract that a message of the server may name.
_OPTIONS = {
    "source_language_code": "--from",
    "language_code": "--from",
    "fallback_language_code": "--from",
    "target_language_codes": "--to",
    "output_language_code": "--to",
    "model": "--model",
    "glossary_terms": "--glossary",
    "phrases": "--protect",
    "patterns": "--protect",
    "text_format": "--format",
    "sentence_count": "--sentences",
    "length": "--length",
    "max_words": "--max-words",
    "mode": "--mode",
}
_FIELD = re.compile(r"\b(?:config\.)?(?:options\.)?([a-z_]+)(?:\[\d+\])?(?:\.[a-z_]+)?")


def say(message: str) -> None:
    """Prints a line on standard error. Characters that its encoding lacks are escaped."""
    line = f"latimer: {message}\n"
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.flush()


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Prints a line on standard error and ends the program."""
    say(message)
    raise typer.Exit(status)


def error_console() -> Console:
    """Returns a console on standard error, with colours only on a terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=False)


def table_console(*, stderr: bool = False) -> Console:
    """Returns a console for a table, which is never cut: where it does not fit, the terminal or pipe gets whole lines.

    `stderr`: prints to standard error instead of standard output.
    """
    console = Console(stderr=stderr, highlight=False)
    if console.is_terminal and console.width >= NARROWEST_TABLE:
        return console
    return Console(stderr=stderr, width=_WHOLE_LINES, highlight=False)


@contextmanager
def explain_errors(connection: Connection | None = None) -> Iterator[None]:
    """Turns the errors of the block into one line and an exit status. `connection`: of the block's calls."""
    try:
        yield
    except LatimerError as error:
        message, status = explain(error, connection)
        fail(message, status)
    except OutputError as error:
        fail(str(error), USAGE if error.is_refusal else SERVER)
    except (BatchError, FileError) as error:
        fail(str(error), USAGE)
    except BrokenPipeError:
        # The reader of a pipe has gone, such as `head`. The interpreter must not flush into it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except OSError as error:
        fail(f"{error.filename or 'the output'}: {error.strerror or error}", SERVER)


def explain(error: LatimerError, connection: Connection | None) -> tuple[str, int]:
    """Returns an error of a server in the words of the command line, and the exit status."""
    address = connection.name if connection else "the server"
    if error.code == "UNAVAILABLE":
        return _explain_unavailable(error, connection, address), SERVER
    if error.code == "INVALID_ARGUMENT":
        return _explain_violations(error), USAGE
    if error.code == "NOT_FOUND":
        return f"{error}; `latimer languages` and `latimer models` list what the server has", USAGE
    if error.code == "CANCELLED":
        return "the call was stopped", STOPPED
    if not error.code:  # the client refused the request
        return _name_options(str(error)).replace("with tls=TLS()", "with --tls"), USAGE
    seconds = f"in {error.retry_after:.0f} seconds" if error.retry_after and error.retry_after >= 1 else "later"
    request = f" (request {error.request_id} in the server's log)" if error.request_id else ""
    template = _EXPLANATIONS.get(error.code, "{address} failed{request}: {error}")
    return template.format(address=address, error=error, seconds=seconds, request=request), SERVER


def _explain_unavailable(error: LatimerError, connection: Connection | None, address: str) -> str:
    if error.reason:  # the server answered
        return f"{address} is starting or shutting down; try again in a moment"
    if connection and connection.tls:
        return f"no server at {address} with TLS and a certificate that you trust; is it running, is --ca right?"
    return f"no server at {address}; is it running, or does it want --tls?"


def _explain_violations(error: LatimerError) -> str:
    if not error.violations:
        return _name_options(str(error))
    return "; ".join(f"{_name_options(field)} {rule}" for field, rule in error.violations)


def _name_options(text: str) -> str:
    """Replaces the names of the contract's fields with those of options."""
    return _FIELD.sub(lambda match: _OPTIONS.get(match[1], match[0]), text)


def stop_on_signals() -> None:
    """Makes SIGTERM and SIGHUP stop a batch as Ctrl-C does, so that its journal is complete."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread only
        return
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
