"""Where a student is computed: on the CPU, or on a GPU that torch can use.

Asks the driver first: torch itself is imported only where there is a GPU at all.
"""

from __future__ import annotations

import ctypes


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU where there is one and torch was built for it."""
    if wanted != "auto":
        return wanted
    if not _has_gpu():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _has_gpu() -> bool:
    """Whether NVIDIA's driver is there and has a device (`cuInit` and `cuDeviceGetCount` of its own interface)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
