"""Compiles and runs the C++ programs of the engine's tests: the kernel tests and the replay of a recorded search.

The programs run on this machine, under an emulator of 64-bit ARM (qemu), or with an emulation of the tiles of AMX.
Tests are skipped where a tool is missing. If `LATIMER_TEST_TOOLS=required` (`make test-system`), they fail instead and
name the packages of Debian that have the tool.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from benchmarks.native_programs import ENGINE, PROCESSORS, compile_program
from latimer_server.backends.marian.native_library import InstructionSet, list_instruction_sets, open_library

PROGRAMS = Path(__file__).parent / "native"
AVAILABLE = list_instruction_sets(open_library())
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")

# gcc 12 gives two warnings for its own headers, one of which clang does not know.
_OUR_HEADERS_ONLY = ("-Wno-maybe-uninitialized", "-Wno-uninitialized", "-Wno-unknown-warning-option")

# The Debian packages of each tool, and the names that its program has in some version.
_PACKAGES = MappingProxyType(
    {
        "g++": "g++",
        "clang++": "clang-19 libclang-rt-19-dev",
        "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
        "qemu-aarch64": "qemu-user",
        "redis-server": "redis-server",
        "docker": "docker.io",
        "node": "nodejs npm",
        "npm": "nodejs npm",
        "go": "golang-go golang-google-grpc-dev golang-github-golang-protobuf-1-5-dev",
        "protoc": "protobuf-compiler",
        "protoc-gen-go": "protoc-gen-go-1-5",
        "protoc-gen-go-grpc": "protoc-gen-go-grpc",
    }
)
_OTHER_NAMES = MappingProxyType({"clang++": tuple(f"clang++-{version}" for version in range(22, 13, -1))})


def find_tool(name: str) -> str:
    """Returns the path of a tool, or skips or fails the test without it."""
    for each in (name, *_OTHER_NAMES.get(name, ())):
        if path := shutil.which(each):
            return path
    missing = f"no {name}: it is in the Debian packages {_PACKAGES[name]} (apt-get install {_PACKAGES[name]})"
    if os.environ.get("LATIMER_TEST_TOOLS") == "required":
        pytest.fail(missing)
    pytest.skip(missing)


def choose_tools(instructions: InstructionSet, compiler: str = "g++") -> tuple[str, list[str]]:
    """Returns the compiler for an instruction set, and the command that a program of it is run with.

    Skips the test if neither this processor nor an emulator of it can run the program. Tiles of AMX are emulated, but
    the other instructions of their kernels (AVX-512) are not.
    """
    processor = PROCESSORS[instructions]
    if instructions in AVAILABLE:
        return find_tool(compiler), []
    if processor.emulated:
        if compiler != "g++":
            pytest.skip("another compiler has no headers of another processor")
        return find_tool("aarch64-linux-gnu-g++"), [find_tool("qemu-aarch64"), "-cpu", processor.emulated]
    if instructions is InstructionSet.AMX and InstructionSet.AVX512_VNNI in AVAILABLE:
        return find_tool(compiler), []
    pytest.skip(f"this processor has no {instructions.label}")


def build(compiler: str, program: Path, sources: Sequence[Path], flags: Sequence[str]) -> Path:
    """Compiles a program or an object file, and returns its path. Fails the test with the compiler's messages."""
    try:
        return compile_program(compiler, program, sources, [f"-I{PROGRAMS}", *flags])
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{' '.join(error.cmd)}\n{error.stderr[-8_000:]}")


def find_catch2() -> Path:
    """Returns the folder of Catch2's header."""
    found = importlib.util.find_spec("catch2")
    assert found, "Catch2 is not installed: run `make install`"
    assert found.origin
    return Path(found.origin).parent / "install" / "include"


def build_kernel_tests(compiler: str, folder: Path, instructions: InstructionSet, flags: Sequence[str]) -> Path:
    """Builds the kernel tests for an instruction set in an empty folder, and returns the program.

    Catch2's own code takes half of the time and does not depend on the flags. It is compiled once and kept beside the
    folder.
    """
    header, source = f"-isystem{find_catch2()}", PROGRAMS / "kernels"
    main = folder.parent / f"{Path(compiler).name}-main.o"
    if not main.is_file():
        build(compiler, main, [source / "main.cpp"], ["-c", "-O0", header])
    warnings = ["-Wall", "-Wextra", "-Werror", *_OUR_HEADERS_ONLY]
    kernels = ["-c", "-O1", header, *warnings, *PROCESSORS[instructions].options, *flags]
    tests = build(compiler, folder / "tests.o", [source / "tests.cpp"], kernels)
    return build(compiler, folder / "kernel-tests", [main, tests], flags)


def build_replay(compiler: str, folder: Path, flags: Sequence[str]) -> Path:
    """Builds the replay of a recorded search with all kernels of a processor, and returns the program."""
    sources = [PROGRAMS / "replay.cpp", *sorted(ENGINE.glob("*.cpp"))]
    return build(compiler, folder / "replay", sources, ["-O2", "-w", *flags])


def build_searches(compiler: str, folder: Path, flags: Sequence[str]) -> Path:
    """Builds the searches over small random students with all kernels of a processor, and returns the program."""
    sources = [PROGRAMS / "beams.cpp", *sorted(ENGINE.glob("*.cpp"))]
    return build(compiler, folder / "beams", sources, ["-w", *flags])
