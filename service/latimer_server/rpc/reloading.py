"""Reads files again when they change: keys, tokens and certificates.

A file that cannot be used changes nothing: the server goes on with the contents that it read before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from latimer_server.core.errors import LatimerError

_log = logging.getLogger(__name__)

# Is called with the name of a part and whether it could be read, after each time that it was read again.
ReloadListener = Callable[[str, bool], None]
_Mark = tuple[int, int, int, int] | None


@dataclass(frozen=True)
class ReloadedPart:
    """Files that are read together. `load` reads them and puts them into use; if it raises, it has changed nothing."""

    name: str
    paths: Sequence[Path]
    load: Callable[[], None]


class Reloads:
    """Watches files by their times of modification and of change, size and inode.

    Thread-safe; its methods block on the file system.
    Create it before the files are read for the first time, so that no change after that is missed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[str, tuple[ReloadedPart, list[_Mark]]] = {}
        self._listeners: list[ReloadListener] = []

    def add(self, part: ReloadedPart) -> None:
        """Reads the files of a part for the first time, and watches them. Raises the errors of `part.load`."""
        marks = _read_marks(part)
        part.load()
        self._parts[part.name] = part, marks

    def subscribe(self, listener: ReloadListener) -> None:
        """Calls `listener` after each part that is read again, in the thread that reads it."""
        self._listeners.append(listener)

    @property
    def parts(self) -> Sequence[str]:
        """The names of the parts."""
        return tuple(self._parts)

    @property
    def has_files(self) -> bool:
        """Whether some part has files to watch. A part without files is read on demand only."""
        return any(part.paths for part, _ in self._parts.values())

    def poll(self) -> None:
        """Reads the parts again whose files have changed."""
        with self._lock:
            for part, marks in tuple(self._parts.values()):
                if _read_marks(part) != marks:
                    self._load(part)

    def reload(self) -> None:
        """Reads all parts again."""
        with self._lock:
            for part, _ in tuple(self._parts.values()):
                self._load(part)

    def _load(self, part: ReloadedPart) -> None:
        self._parts[part.name] = part, _read_marks(part)
        try:
            part.load()
        except (LatimerError, OSError) as error:
            _log_failure(part, str(error))
            succeeded = False
        except Exception as error:  # noqa: BLE001 (a defect must not hide the failure, nor keep other parts from being read)
            # The message of an error that nobody foresaw may hold what is in the file.
            _log_failure(part, f"{', '.join(map(str, part.paths))}: cannot be read: {type(error).__name__}")
            succeeded = False
        else:
            _log.info("reloaded", extra={"part": part.name})
            succeeded = True
        for listener in self._listeners:
            listener(part.name, succeeded)


def _log_failure(part: ReloadedPart, cause: str) -> None:
    _log.error("reload failed; the old ones stay in use", extra={"part": part.name, "cause": cause})


def _read_marks(part: ReloadedPart) -> list[_Mark]:
    return [_read_mark(path) for path in part.paths]


def _read_mark(path: Path) -> _Mark:
    try:
        status = path.stat()
    except OSError:
        return None
    # An editor can set the time of modification, but not that of the last change of the inode.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
