"""The paths of one run. No file that a run writes may be another file of the run, whatever name it is given."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latimer.batch.output import is_stream
from latimer.batch.results import OutputError

# The files that SQLite makes, and removes, beside a database.
_BESIDE_DATABASE = ("-journal", "-wal", "-shm")


@dataclass(frozen=True)
class RunPath:
    """A file that a run reads or writes.

    `label`: its name in messages, which is its option or its role, such as "an input".
    """

    label: str
    path: Path
    is_written: bool


def list_database_paths(label: str, path: Path) -> Iterator[RunPath]:
    """Yields the files of an SQLite database, which are written as a whole by SQLite only."""
    yield RunPath(label, path, is_written=True)
    for ending in _BESIDE_DATABASE:
        yield RunPath(f"a file of {label}", path.with_name(path.name + ending), is_written=True)


def check_paths(paths: Sequence[RunPath]) -> None:
    """Raises `OutputError` if the run would write a file that it also needs as another one.

    Symbolic links, hard links and names with `..` count as the file that they lead to. Devices and pipes may be named
    more than once.
    """
    owners: dict[Hashable, RunPath] = {}
    for each in sorted(paths, key=lambda path: path.is_written):
        if is_stream(each.path):
            continue
        other = owners.setdefault(_identify(each.path), each)
        if other is not each and (each.is_written or other.is_written):
            reason = f"{other.label} and {each.label} are the same file"
            raise OutputError(each.path, reason, f"choose another name for {each.label}", is_refusal=True)


def _identify(path: Path) -> Hashable:
    """Returns what all names of a file have in common: its number in its file system, or its path if there is none."""
    try:
        status = path.stat()
    except OSError:
        return path.resolve()
    return status.st_dev, status.st_ino
