"""Tests of the engine's kernels for processors that this machine need not have.

A program without Python runs a recorded search again: for 64-bit ARM under an emulator (qemu), and with emulated tiles
of AMX. Ids, scores and alignments are equal to the bit.
"""

from __future__ import annotations

import ctypes
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.native_programs import EMULATED_TILES
from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine import sinusoids
from latimer_server.backends.marian.length_cap import output_cap
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent
from latimer_server.backends.marian.native_library import InstructionSet
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from tests.conformance.conftest import PAIRS, get_native, locate, never, read_sentences
from tests.native_builds import AVAILABLE, build_replay, choose_tools, find_tool

OPTIONS = DecodingOptions(alignment=True)
# The options of the second search of `replay.cpp`.
BEAMS = replace(
    OPTIONS, beam_size=4, hypothesis_count=4, length_penalty=0.8, repetition_penalty=1.25, no_repeat_ngram_size=3
)


class Recorder:
    """Takes the place of the library while a student is loaded, and records its weights as `replay.cpp` reads them."""

    def __init__(self, source_vocabulary: int) -> None:
        self.content = b""
        self._source_vocabulary = source_vocabulary

    def latimer_load(self, sizes: Any, tables: Any, encoder: Any, decoder: Any, instructions: int, student: Any) -> int:
        self._sizes, table = sizes._obj, tables._obj
        d, vocabulary = self._sizes.dimension, self._sizes.target_vocabulary
        self._add(bytes(self._sizes))
        self._add(bytes(table))
        self._add_memory(table.source, (self._source_vocabulary + 1) * d)
        self._add_memory(table.target, (vocabulary + 1) * d)
        self._add_memory(table.output_bias, 4 * vocabulary)
        offsets = ctypes.string_at(table.shortlist_offsets, 8 * (self._source_vocabulary + 1))
        self._add(offsets)
        self._add_memory(table.shortlist_ids, 4 * table.id_count)
        for layer in encoder._obj:
            self._add_attention(layer)
        for layer in decoder._obj:
            self._add_matrix(layer.candidate)
            self._add_matrix(layer.forget)
            self._add_norm(layer.cell_norm)
            self._add_attention(layer)
        return 0

    def latimer_unload(self, student: int) -> None:
        """Nothing was loaded."""

    def add_batch(self, rows: Sequence[TokenIds]) -> None:
        self._add(struct.pack("<i", len(rows)))
        for values in (
            [token for row in rows for token in row],
            map(len, rows),
            (output_cap(len(r), OPTIONS) for r in rows),
        ):
            self._add(np.array(list(values), np.int32).tobytes())
        self._add(sinusoids(512, self._sizes.dimension).astype(np.float32).tobytes())

    def _add(self, content: bytes) -> None:
        self.content += struct.pack("<Q", len(content)) + content

    def _add_memory(self, address: int | None, size: int) -> None:
        self._add(ctypes.string_at(address, size) if address else b"")

    def _add_matrix(self, matrix: Any, rows: int = 0) -> None:
        self._add(bytes(matrix))
        self._add_memory(matrix.values, matrix.columns * (rows or self._sizes.dimension))
        self._add_memory(matrix.bias, 4 * matrix.columns)

    def _add_norm(self, norm: Any) -> None:
        for address in (norm.scale, norm.bias):
            self._add_memory(address, 4 * self._sizes.dimension)

    def _add_attention(self, layer: Any) -> None:
        for matrix in (layer.query, layer.key, layer.value, layer.out):
            self._add_matrix(matrix)
        self._add_norm(layer.norm)
        self._add_matrix(layer.feed.inner)
        self._add_matrix(layer.feed.outer, self._sizes.ffn_dimension)
        self._add_norm(layer.feed.norm)


def record_search(student: MarianStudent, texts: Sequence[str], path: Path) -> str:
    """Records the search of some texts by the English student in a file. Returns what `replay.cpp` must print."""
    rows = [encoding.ids for encoding in student.encode(texts)]
    file = MarianFile(locate(PAIRS["en"])["model"].read_bytes(), "model.bin")
    shape = read_architecture(file.config, "model.bin")
    recorder: Any = Recorder(shape.source_vocabulary)
    NativeStudent(file, shape, student.searcher.shortlist, InstructionSet.AVX2, recorder)
    recorder.add_batch(rows)
    path.write_bytes(recorder.content)
    native = get_native(student)
    beams = native.search(rows, BEAMS, never)
    ranked = [each for hypothesis in beams for each in (hypothesis, *hypothesis.alternatives)]
    return "".join(map(describe, [*native.search(rows, OPTIONS, never), *ranked]))


@pytest.fixture(scope="module")
def recorded(students: Mapping[str, MarianStudent], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Returns the file of a recorded search of a few rows, and what `replay.cpp` must print."""
    path = tmp_path_factory.mktemp("replay") / "search.bin"
    return path, record_search(students["en"], read_sentences("en")[:6], path)


def describe(hypothesis: Hypothesis) -> str:
    """Returns the line that `replay.cpp` prints for an output."""
    tokens = zip(hypothesis.ids, hypothesis.alignment, strict=True)
    parts = [f"{token}:{place}:{hexadecimal(weight)}" for token, (place, weight) in tokens]
    return " ".join([hexadecimal(hypothesis.log_prob), *parts]) + "\n"


def hexadecimal(value: float) -> str:
    """Returns a number as C's `%a` writes it."""
    mantissa, _, exponent = value.hex().partition("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"


needs_native = pytest.mark.skipif(not AVAILABLE, reason="not built, or not for this processor")


@needs_native
def test_the_recorded_search_runs_without_python(recorded: tuple[Path, str], tmp_path: Path) -> None:
    path, expected = recorded
    program = build_replay(find_tool("g++"), tmp_path, ["-static"])
    for instructions in AVAILABLE:
        ended = subprocess.run([program, path, str(int(instructions))], capture_output=True, text=True)
        assert (ended.returncode, ended.stdout) == (0, expected)
    missing = next(instructions for instructions in InstructionSet if instructions not in AVAILABLE)
    assert subprocess.run([program, path, str(int(missing))], capture_output=True).returncode == 3


@needs_native
@pytest.mark.parametrize("instructions", [InstructionSet.NEON, InstructionSet.NEON_DOTPROD, InstructionSet.NEON_I8MM])
def test_arm_gives_the_same_ids_scores_and_alignments(
    recorded: tuple[Path, str], tmp_path: Path, instructions: InstructionSet
) -> None:
    path, expected = recorded
    compiler, command = choose_tools(instructions)
    program = build_replay(compiler, tmp_path, ["-static"])
    ended = subprocess.run([*command, program, path, str(int(instructions))], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, expected)


@needs_native
def test_emulated_tiles_give_the_same_ids_scores_and_alignments(recorded: tuple[Path, str], tmp_path: Path) -> None:
    path, expected = recorded
    compiler, command = choose_tools(InstructionSet.AMX)
    program = build_replay(compiler, tmp_path, ["-static", EMULATED_TILES])
    ended = subprocess.run([*command, program, path, str(int(InstructionSet.AMX))], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, expected)
