"""Turns the errors that a library raises while it reads a model file into errors that name the file.

Model files are untrusted, and each library fails on a bad one in its own way. Imports no model library.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from latimer_server.core.errors import ModelError, ModelFileError

_MAX_MESSAGE_CHARACTERS = 300


@contextmanager
def naming_file(file: str) -> Iterator[None]:
    """A context manager that turns any error raised in its block into a `ModelFileError` that names `file`.

    Covers a panic in Rust, which is a `BaseException` but no `Exception`. Lets a `ModelError` pass, which already
    names the cause, and the exceptions that end the process.
    """
    try:
        yield
    except (ModelError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        message = " ".join(str(error).split())[:_MAX_MESSAGE_CHARACTERS]
        problem = f"cannot be used: {type(error).__name__}{message and ': '}{message}"
        raise ModelFileError(file, problem) from error
