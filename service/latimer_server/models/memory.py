"""Memory in bytes: told to people, and given back when a model goes.

Knows the C library; nothing of which models there are.
"""

from __future__ import annotations

import ctypes
import gc

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


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
