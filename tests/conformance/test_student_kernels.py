"""Runs the kernel tests in C++ (`tests/native/kernels`) for every instruction set that this machine has or emulates."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.native_programs import PROCESSORS
from latimer_server.backends.marian.native_library import InstructionSet
from tests.native_builds import build_kernel_tests, choose_tools


@pytest.mark.parametrize("instructions", InstructionSet)
def test_kernels_agree_with_naive_computations(tmp_path: Path, instructions: InstructionSet) -> None:
    compiler, command = choose_tools(instructions)
    flags = ["-static"] if PROCESSORS[instructions].emulated else []
    program = build_kernel_tests(compiler, tmp_path, instructions, flags)
    ended = subprocess.run([*command, str(program)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-8_000:] + ended.stderr
    assert "All tests passed" in ended.stdout
