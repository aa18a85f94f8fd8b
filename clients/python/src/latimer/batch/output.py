"""Outputs that are never half-written: a temporary file beside the target, which takes its name at the end."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from latimer.batch.results import OutputError

_BUFFER = 1 << 18
_LINE_ENDS = (b"\n", b"\r", b"\n\0")
_CURES = {
    errno.ENOSPC: "free some space, then run again with --resume",
    errno.EFBIG: "choose a file system that takes larger files",
    errno.EDQUOT: "free some space, then run again with --resume",
    errno.EACCES: "choose a folder that you may write with --out",
    errno.EPERM: "choose a folder that you may write with --out",
    errno.EROFS: "choose a folder that you may write with --out",
    errno.EEXIST: "choose another --out",
    errno.ENOTDIR: "choose another --out",
    errno.EISDIR: "choose another --out",
}


@contextlib.contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Yields a file that appears under `path` only when it is whole and on the disk.

    The folder is made if it is missing. The end of the block puts the file in its place; an exception leaves what was
    there before. A file that is replaced keeps its permissions, and a link its place. A device or a pipe is written
    directly. Raises `OutputError` if the disk is full or the folder cannot be written.
    """
    if is_stream(path):
        with _open_stream(path) as stream:
            yield stream
        return
    path = path.resolve() if path.is_symlink() else path
    # A fixed name: the next run overwrites the rest of a killed one.
    partial = path.with_name(f".{path.name}.latimer-part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = _Guarded(partial, "wb")
        if path.exists():
            shutil.copymode(path, partial)
    except OSError as error:
        raise convert_error(path, error) from error
    file = io.BufferedWriter(raw, _BUFFER)
    try:
        yield file
        file.flush()
        os.fsync(raw.fileno())
        file.close()
        partial.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        # After an error of the disk, closing the file tries to write the rest once more.
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            raw.close()
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if raw.fault:  # a format may have turned it to an error of its own
            raise convert_error(path, raw.fault) from error
        if isinstance(error, OSError) and error.filename in (str(path), str(partial), None):
            raise convert_error(path, error) from error
        raise


def check_folder(folder: Path) -> None:
    """Raises `OutputError` if no file could be made in the folder. Makes nothing."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(folder, "is no folder", _CURES[errno.ENOTDIR], is_refusal=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(folder, "cannot be written", _CURES[errno.EACCES], is_refusal=True)


def is_stream(path: Path) -> bool:
    """Returns True for a device or a named pipe, such as /dev/null, which must not be replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextlib.contextmanager
def _open_stream(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise convert_error(path, error) from error


def convert_error(path: Path, error: OSError) -> OutputError:
    """Returns the error of an output that cannot be written, with its cure."""
    reason = f"cannot be written: {error.strerror or error}"
    return OutputError(path, reason, _CURES.get(error.errno or 0, ""))


class _Guarded(io.FileIO):
    """A file that remembers the error of a write."""

    fault: OSError | None = None

    def write(self, block: Any, /) -> int:  # noqa: ANN401 (a buffer, which has no type before Python 3.12)
        try:
            return super().write(block)
        except OSError as error:
            self.fault = error
            raise


class JoinedOutput(io.RawIOBase):
    """A stream that gets several files one after the other. A file that does not end with its line gets a line end
    when the next one begins."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._tail = b""
        self._is_between = False

    def writable(self) -> bool:
        """Returns True."""
        return True

    def write(self, block: Any, /) -> int:  # noqa: ANN401 (a buffer, which has no type before Python 3.12)
        """Writes bytes of the current file."""
        data = bytes(block)
        if not data:
            return 0
        if self._is_between and self._tail and not self._tail.endswith(_LINE_ENDS):
            self._target.write(b"\n")
        self._is_between = False
        self._tail = data[-2:]
        self._target.write(data)
        return len(data)

    def flush(self) -> None:
        """Flushes the target."""
        self._target.flush()

    def end_file(self) -> None:
        """Ends the current file."""
        self._is_between = True
        self._target.flush()


def _sync_folder(path: Path) -> None:
    """Brings the name of a new file to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
