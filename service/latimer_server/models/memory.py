"""Memory in bytes: what a model will take before it is loaded, and giving back what one took.

Knows files and the C library; nothing of which models there are.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterable
from pathlib import Path

# A student's file is int8, and is computed in float32.
_EXPANSION = {"marian_student": 4}
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def estimate_bytes(backend: str, files: Iterable[Path], folder: Path, cache: Path) -> int:
    """What a model will take, by its files: those that the backend made of it where there are any, else the
    catalogue's, else all of its folder. An upper bound of the right size, until the model has been measured."""
    own = list(files)
    sizes = _measure_folder(cache) or sum(map(_measure_file, own)) or (0 if own else _measure_folder(folder))
    return _EXPANSION.get(backend, 1) * sizes


def describe_bytes(count: int) -> str:
    """Bytes for people: `1.5 GiB`."""
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def settle_memory() -> None:
    """Declares what is loaded now to stay: looking through it again, as a full collection does, would stop every
    call for some 60 ms."""
    gc.collect()
    gc.freeze()


def release_memory(*, settled: bool) -> None:
    """Gives what is no longer referred to back to the system. Call it in a thread.

    `settled`: what goes was there when memory settled, so that all of it has to be looked through once more.
    """
    if settled:
        gc.unfreeze()
    gc.collect()
    if settled:
        gc.freeze()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # not glibc: the allocator does as it sees fit
        return


def _measure_folder(folder: Path) -> int:
    try:
        return sum(_measure_file(path) for path in folder.rglob("*") if not path.name.startswith("."))
    except OSError:
        return 0


def _measure_file(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
