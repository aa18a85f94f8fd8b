"""Chooses the device on which a Marian student is computed: the CPU, or a GPU that torch can use.

Asks NVIDIA's driver first, so that torch is imported only on a machine with a GPU.
"""

from __future__ import annotations

import ctypes


def choose_device(wanted: str) -> str:
    """Returns the device name `wanted` unchanged, unless it is `auto`.

    `auto` becomes `cuda` if the machine has an NVIDIA GPU and torch can use it, otherwise `cpu`.
    """
    if wanted != "auto":
        return wanted
    if not _has_gpu():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _has_gpu() -> bool:
    """True if NVIDIA's driver is installed and reports a device (`cuInit` and `cuDeviceGetCount` of its C API)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
