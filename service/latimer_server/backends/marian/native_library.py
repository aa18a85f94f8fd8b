"""The C++ library of the students (the folder `native`), and the instruction sets of this processor that it can use.

The library is optional: it is missing if no compiler was there when the package was built, and it has kernels for some
instruction sets only. Without it ONNX Runtime computes the students, at a third of the speed. The environment variable
`LATIMER_ENGINE` forces an instruction set, or ONNX Runtime.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import sys
from enum import IntEnum
from functools import cache

from latimer_server.core.errors import ModelError

_LIBRARY = "latimer_server.backends.marian.native._student"
_INTERFACE = 6  # the version of the C interface: `LATIMER_INTERFACE` of `native/student.h`
_NO_MEMORY = -1  # `LATIMER_NO_MEMORY`; other negative results are `LATIMER_INVALID`
_VARIABLE = "LATIMER_ENGINE"
_ONNX = "onnx"

_log = logging.getLogger(__name__)

_Pointer = ctypes.c_void_p


class InstructionSet(IntEnum):
    """The processor instructions for int8 products that there are kernels for; the faster ones are greater.

    NEON, NEON_DOTPROD (SDOT) and NEON_I8MM (SMMLA) are those of 64-bit ARM, the others those of x86-64. All but AVX2
    and NEON have dot products of four bytes; NEON_I8MM and AMX multiply matrices.
    """

    NEON = 1
    NEON_DOTPROD = 2
    NEON_I8MM = 3
    AVX2 = 4
    AVX_VNNI = 5
    AVX512_VNNI = 6
    AMX = 7

    @property
    def label(self) -> str:
        """The name as `LATIMER_ENGINE` and `GetModel` write it: `avx512_vnni`."""
        return self.name.lower()


# Shorter names that `LATIMER_ENGINE` also accepts, each for the first of these that the processor has.
_SHORT_NAMES = {
    "neon": (InstructionSet.NEON_I8MM, InstructionSet.NEON_DOTPROD, InstructionSet.NEON),
    "vnni": (InstructionSet.AVX512_VNNI, InstructionSet.AVX_VNNI),
}


@cache
def open_library() -> ctypes.CDLL | None:
    """Returns the C++ library of this package, or None if it was not built for this version or cannot be opened.

    Calls of its functions release the interpreter lock.
    """
    spec = importlib.util.find_spec(_LIBRARY)
    if spec is None or spec.origin is None:
        return None
    try:
        library = load_library(spec.origin)
    except (OSError, AttributeError) as error:
        _log.warning("the C++ of the students cannot be opened", extra={"reason": str(error)})
        return None
    if library.latimer_get_interface() != _INTERFACE:
        _log.warning("the C++ of the students has another version", extra={"reason": "install the package again"})
        return None
    return library


def load_library(path: str) -> ctypes.CDLL:
    """Opens a library file and declares its functions. Raises `OSError` or `AttributeError` for another library."""
    library = ctypes.CDLL(path)
    for name, result, arguments in (
        ("get_interface", ctypes.c_int, []),
        ("find_instructions", ctypes.c_int, []),
        ("load", ctypes.c_int, [_Pointer, _Pointer, _Pointer, _Pointer, ctypes.c_int, _Pointer]),
        ("unload", None, [_Pointer]),
        ("begin", ctypes.c_int, [_Pointer, _Pointer, _Pointer]),
        ("encode", ctypes.c_int, [_Pointer]),
        ("advance", ctypes.c_int, [_Pointer, ctypes.c_int, _Pointer, ctypes.c_int64, _Pointer]),
        ("advance_beams", ctypes.c_int, [_Pointer, ctypes.c_int, _Pointer, ctypes.c_int64]),
        ("count_steps", ctypes.c_int, [_Pointer]),
        ("list_hypotheses", ctypes.c_int64, [_Pointer, _Pointer]),
        ("write_tokens", ctypes.c_int, [_Pointer, _Pointer]),
        ("end", None, [_Pointer]),
    ):
        function = getattr(library, f"latimer_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def check_result(result: int) -> int:
    """Returns the result of a function of the library, unless it is an error.

    Raises `MemoryError`, or `ValueError` if an id, a size or the length of an array is not that of the student.
    """
    if result == _NO_MEMORY:
        raise MemoryError("no memory for a model's weights or for a batch")
    if result < 0:
        raise ValueError("the C++ of the students refuses these ids or array lengths, or has no such kernels")
    return result


def list_instruction_sets(library: ctypes.CDLL | None) -> list[InstructionSet]:
    """Returns the instruction sets of this processor that the library has kernels for, the slowest first."""
    found = library.latimer_find_instructions() if library else 0
    return [instructions for instructions in InstructionSet if found >> instructions & 1]


def choose_instruction_set() -> InstructionSet | None:
    """Returns the instruction set to use for students, or None if ONNX Runtime computes them.

    That is the fastest one of this processor, or the one that `LATIMER_ENGINE` names. Raises `ModelError` if it names
    one that does not exist or that this processor or library does not have.
    """
    available = list_instruction_sets(open_library())
    wanted = os.environ.get(_VARIABLE, "").strip().lower()
    if wanted == _ONNX:
        return None
    if not wanted:
        return available[-1] if available else None
    named = {instructions.label: (instructions,) for instructions in InstructionSet} | _SHORT_NAMES
    if wanted not in named:
        names = ", ".join([*named, _ONNX])
        raise ModelError(f"{_VARIABLE}={wanted[:64]!r} names no engine; there are {names}")
    for instructions in named[wanted]:
        if instructions in available:
            return instructions
    have = ", ".join(instructions.label for instructions in available) or "none"
    raise ModelError(f"{_VARIABLE}={wanted}: not on this machine, which has kernels for {have}; {_ONNX} always runs")


def describe_instruction_set() -> str:
    """Returns a sentence for the output of the installation: which code runs students on this machine, and why."""
    if open_library() is None:
        return "students run on ONNX Runtime: their C++ was not built (it needs g++ 11 or clang 14; it is faster)"
    available = list_instruction_sets(open_library())
    if not available:
        return "students run on ONNX Runtime: their C++ has no kernels for this processor"
    return f"students run on their C++ ({available[-1].label})"


if __name__ == "__main__":  # the installation runs this
    sys.stdout.write(f"{describe_instruction_set()}\n")
