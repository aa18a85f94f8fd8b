"""Blames a file for what a library raises while it reads it.

Knows no library: files are untrusted, and each reader has its own ways to fail on one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from latimer_server.core.errors import ModelError, ModelFileError

_LONGEST = 300


@contextmanager
def naming_file(file: str) -> Iterator[None]:
    """Turns whatever is raised inside into a `ModelFileError` that names `file`, a panic in Rust among it, which is
    no `Exception`. A `ModelError` passes: it names what is wrong already."""
    try:
        yield
    except (ModelError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        told = " ".join(str(error).split())[:_LONGEST]
        raise ModelFileError(file, f"cannot be used: {type(error).__name__}{told and ': '}{told}") from error
