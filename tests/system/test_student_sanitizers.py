"""The C++ engine under the address, leak and undefined-behaviour sanitizers of gcc and clang: nothing is found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.native_programs import EMULATED_TILES
from latimer_server.backends.marian.native_library import InstructionSet
from latimer_server.backends.marian.student import load_student
from tests.conformance.conftest import PAIRS, locate, read_sentences
from tests.conformance.test_student_replay import record_search
from tests.native_builds import SANITIZERS, build_kernel_tests, build_replay, choose_tools

COMPILERS = ("g++", "clang++")
NATIVE = [instructions for instructions in InstructionSet if not instructions.label.startswith("neon")]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Returns the file of a recorded search of 40 sentences, and what `replay.cpp` must print."""
    path = tmp_path_factory.mktemp("search") / "search.bin"
    return path, record_search(load_student(locate(PAIRS["en"]), 1), read_sentences("en")[::8], path)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("instructions", NATIVE)
def test_a_search_is_clean(
    recorded: tuple[Path, str], tmp_path: Path, compiler: str, instructions: InstructionSet
) -> None:
    path, expected = recorded
    found, command = choose_tools(instructions, compiler)
    tiles = [EMULATED_TILES] if instructions is InstructionSet.AMX else []
    program = build_replay(found, tmp_path, [*SANITIZERS, *tiles])
    command += [str(program), str(path), str(int(instructions))]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.stderr, ended.returncode, ended.stdout) == ("", 0, expected)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("instructions", NATIVE)
def test_the_kernel_tests_are_clean(tmp_path: Path, compiler: str, instructions: InstructionSet) -> None:
    found, command = choose_tools(instructions, compiler)
    program = build_kernel_tests(found, tmp_path, instructions, SANITIZERS)
    ended = subprocess.run([*command, str(program)], capture_output=True, text=True)
    assert (ended.stderr, ended.returncode) == ("", 0), ended.stdout[-4_000:]
