"""Memory of the C library: all threads allocate from a few arenas, so that freed memory is used again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Each of 32 threads holds memory at the same time as all others. `malloc_info` then writes one element for each arena.
COUNT_ARENAS = """
import ctypes, os, sys, threading
from latimer_server.models.pool.gc_tuning import limit_arenas

if sys.argv[1] == "limited":
    limit_arenas()
library = ctypes.CDLL(None)
library.malloc.restype = library.fdopen.restype = ctypes.c_void_p
everybody = threading.Barrier(32)

def allocate():
    everybody.wait()
    held = [library.malloc(ctypes.c_size_t(1_000)) for _ in range(1_000)]
    everybody.wait()
    assert all(held)

threads = [threading.Thread(target=allocate) for _ in range(32)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
output = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, output)
library.fflush(output)
"""


def count_arenas(mode: str) -> int:
    """Returns the arenas of a process whose 32 threads allocate."""
    done = subprocess.run([sys.executable, "-c", COUNT_ARENAS, mode], capture_output=True, text=True, check=True)
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_share_two_arenas() -> None:
    assert count_arenas("limited") <= 2
    assert count_arenas("default") > 2
