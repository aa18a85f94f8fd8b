"""Compiles the C++ engine, and programs that include its kernels: kernel tests and benchmarks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from latimer_server.backends.marian import native_engine
from latimer_server.backends.marian.native_library import InstructionSet

ENGINE = Path(native_engine.__file__).parent / "native"
# As in setup.py: without contraction every compiler rounds alike.
FLAGS = ("-std=c++17", "-ffp-contract=off", f"-I{ENGINE}")
EMULATED_TILES = "-DLATIMER_EMULATE_TILES"


@dataclass(frozen=True)
class Processor:
    """An instruction set with the file of its kernels and the compiler flags that a whole program needs for it.

    `emulated`: the name of a processor for qemu, or "" if the program runs on this machine.
    """

    file: str
    flags: tuple[str, ...] = ()
    emulated: str = ""

    @property
    def options(self) -> list[str]:
        """The options for a program that includes the file which the macro LATIMER_KERNELS_FILE names."""
        return [f'-DLATIMER_KERNELS_FILE="{self.file}"', *self.flags]


_AVX2 = ("-mavx2", "-mfma", "-mf16c")
_AVX512 = (*_AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vnni")), "-mamx-tile", "-mamx-int8")
PROCESSORS: Mapping[InstructionSet, Processor] = MappingProxyType(
    {
        InstructionSet.NEON: Processor("kernels_neon.cpp", (), "cortex-a53"),
        InstructionSet.NEON_DOTPROD: Processor(
            "kernels_neon_dotprod.cpp", ("-march=armv8.2-a+dotprod",), "neoverse-n1"
        ),
        # Debian 12's qemu has no processor with i8mm by name, only one with all instructions.
        InstructionSet.NEON_I8MM: Processor("kernels_neon_i8mm.cpp", ("-march=armv8.2-a+dotprod+i8mm",), "max"),
        InstructionSet.AVX2: Processor("kernels_avx2.cpp", _AVX2),
        InstructionSet.AVX_VNNI: Processor("kernels_avx_vnni.cpp", (*_AVX2, "-mavxvnni")),
        InstructionSet.AVX512_VNNI: Processor("kernels_avx512.cpp", _AVX512),
        InstructionSet.AMX: Processor("kernels_avx512.cpp", (*_AVX512, EMULATED_TILES)),
    }
)


def name_compiler() -> str:
    """Returns the C++ compiler that builds the engine: that of the variable CXX, or g++."""
    return os.environ.get("CXX") or "g++"


def compile_program(compiler: str, program: Path, sources: Sequence[Path], flags: Sequence[str]) -> Path:
    """Compiles a program, or an object file with `-c`, and returns its path. Raises CalledProcessError with the output
    of the compiler if it fails."""
    command = [compiler, *FLAGS, *flags, "-o", str(program), *map(str, sources)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def build_engine(compiler: str, target: Path, flags: Sequence[str] = ()) -> Path:
    """Builds the engine's library with the flags of setup.py, and returns its path. Raises CalledProcessError."""
    sources = sorted(ENGINE.glob("*.cpp"))
    return compile_program(compiler, target, sources, ["-O3", "-fPIC", "-shared", "-w", *flags])
