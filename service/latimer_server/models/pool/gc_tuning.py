"""Garbage collection and memory: tunes Python's collector, and returns freed memory to the operating system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

# Thresholds of the three generations, see `gc.set_threshold`. The first two are Python's defaults. The third makes
# full collections a hundred times rarer (the default is 10). Under load Python would run one every second, and each
# stops all threads for 40 to 70 ms. Calls create no reference cycles except those of the gRPC library, which the
# youngest generation finds. A larger first threshold does not help: all objects of the running calls are young, so
# each collection would take as long as a full one.
_COLLECTIONS = (700, 10, 1_000)

# The parameter M_ARENA_MAX of mallopt(3), and the most arenas from which the threads of the process allocate. By
# default glibc creates eight for each core, and each keeps most pages that it ever needed: see docs/decisions/0070.
_ARENA_MAX = -8
_ARENAS = 2

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def describe_bytes(count: int) -> str:
    """Formats a number of bytes for a message: `1.5 GiB`."""
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def tune_collector() -> None:
    """Makes full garbage collections a hundred times rarer than by default, for the whole process."""
    gc.set_threshold(*_COLLECTIONS)


def limit_arenas() -> None:
    """Makes all threads allocate from two arenas of the C library. Call it before threads begin."""
    with suppress(AttributeError, OSError, TypeError):  # the C library is not glibc and offers no such function
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)


def freeze_objects() -> None:
    """Frees unreferenced objects, and exempts all other objects that exist now from garbage collection.

    A full collection that visited the loaded models would stop every call for about 60 ms.
    """
    gc.collect()
    gc.freeze()


def release_memory(*, frozen: bool) -> None:
    """Frees unreferenced objects and returns their memory to the operating system. Slow: call it in a thread.

    `frozen`: the objects to free may have been exempted by `freeze_objects`. All exempt objects are then collected
    once, and exempted again.
    """
    if frozen:
        gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()
    trim_memory()


def trim_memory() -> None:
    """Returns freed memory to the operating system, which the C library keeps otherwise. Call it in a thread."""
    with suppress(AttributeError, OSError, TypeError):  # the C library is not glibc and offers no such function
        ctypes.CDLL(None).malloc_trim(0)
