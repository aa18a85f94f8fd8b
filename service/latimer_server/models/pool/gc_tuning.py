"""Memory in bytes: told to people, and given back when a model goes.

Knows the C library; nothing of which models there are.
"""

from __future__ import annotations

import ctypes
import gc

# New objects until Python looks for circles among them, how many times it does that until it looks through older ones
# too, and those until it looks through all. The last is 10 otherwise: under load a full search every second, of 40 to
# 70 ms in which nothing else is done, for calls leave no circles but the library's, which the first search finds. The
# others are Python's own: with more at a time a search takes as long as a full one, as all objects of the calls in work
# are new to it.
_COLLECTIONS = (700, 10, 1_000)

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def describe_bytes(count: int) -> str:
    """Bytes for people: `1.5 GiB`."""
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def tune_collector() -> None:
    """Has Python look through all objects a hundredth as often as by default, for all of the process."""
    gc.set_threshold(*_COLLECTIONS)


def freeze_objects() -> None:
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
