"""Tests of the C++ engine of students: it agrees with the ONNX graphs, for any instruction set, any batch and any
number of threads. Without the C++ engine the graphs compute everything."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest
import sacrebleu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer_server.backends.marian import native_engine, native_library, student
from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine_search import EngineSearcher
from latimer_server.backends.marian.greedy import GreedySearch
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent
from latimer_server.backends.marian.native_library import (
    InstructionSet,
    choose_instruction_set,
    list_instruction_sets,
    load_library,
    open_library,
)
from latimer_server.backends.marian.native_weights import supports_model
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.core.poll_time import Cancellation, PollTime
from tests.conformance.conftest import PAIRS, get_engine_searcher, get_native, locate, never, read_sentences
from tests.marian_students import TINY, make_student
from tests.native_builds import find_tool

OPTIONS = DecodingOptions()
# Batch sizes around the limits of the kernels: the least number of rows that is computed together, sixteen rows, and
# twice sixteen rows.
SIZES = (1, 2, 3, 4, 7, 16, 17, 31, 32, 33, 70)
AVAILABLE = list_instruction_sets(open_library())
needs_native = pytest.mark.skipif(
    not AVAILABLE,
    reason="not built, or not for this processor: students run on ONNX Runtime",
)


def build(
    source: str, instructions: InstructionSet, *, listed: bool = True, library: ctypes.CDLL | None = None
) -> NativeStudent:
    """Builds the embedded student of a source language. `listed`: with its shortlist."""
    files = locate(PAIRS[source])
    file = MarianFile(files["model"].read_bytes(), "model.bin")
    shortlist = load_student(files, 1).searcher.shortlist if listed else None
    return NativeStudent(file, read_architecture(file.config, "model.bin"), shortlist, instructions, library)


@pytest.fixture(scope="module")
def rows(students: Mapping[str, MarianStudent]) -> Sequence[TokenIds]:
    return [encoding.ids for encoding in students["en"].encode(read_sentences("en"))]


@needs_native
@pytest.mark.parametrize("listed", [True, False])
def test_outputs_are_bit_identical_for_every_instruction_set(rows: Sequence[TokenIds], *, listed: bool) -> None:
    options = DecodingOptions(alignment=True, max_output_tokens=None if listed else 6)
    few = rows if listed else rows[:40]
    best = build("en", AVAILABLE[-1], listed=listed)
    alone = [best.search([row], options, never)[0] for row in few]
    for instructions in AVAILABLE:
        student = build("en", instructions, listed=listed)
        fastest = instructions is AVAILABLE[-1]
        for size in SIZES if listed and fastest else (1, 5, 33):
            together: list[Hypothesis] = []
            for at in range(0, len(few), size):
                together += student.search(few[at : at + size], options, never)
            assert together == alone


@needs_native
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_row_is_bit_identical_in_any_batch(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds], data: st.DataObject
) -> None:
    native = get_native(students["en"])
    batch = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=40))
    # Rows of any ids are valid; they need not be sentences.
    batch += data.draw(st.lists(st.lists(st.integers(2, 31_999), max_size=20).map(lambda ids: (*ids, 0)), max_size=3))
    together = native.search(batch, OPTIONS, never)
    for row, hypothesis in zip(batch, together, strict=True):
        assert native.search([row], OPTIONS, never) == [hypothesis]


@needs_native
@pytest.mark.parametrize("source", sorted(PAIRS))
def test_outputs_are_as_close_to_float32_as_those_of_the_graphs(
    students: Mapping[str, MarianStudent],
    exact_students: Mapping[str, MarianStudent],
    graph_students: Mapping[str, MarianStudent],
    source: str,
) -> None:
    texts = read_sentences(source)
    written = []
    for loaded in (exact_students[source], students[source], graph_students[source]):
        batch = [encoding.ids for encoding in loaded.encode(texts)]
        outputs = [h for at in range(0, len(batch), 32) for h in loaded.run(batch[at : at + 32], OPTIONS, never)]
        written.append(loaded.decode([hypothesis.ids for hypothesis in outputs]))
    exact, native, graphs = written
    scores = [sacrebleu.corpus_chrf(each, [exact]).score for each in (native, graphs)]
    print(f"{source}: chrF against float32 {scores[0]:.2f}, of the graphs {scores[1]:.2f}")
    assert scores[0] >= 98
    assert scores[0] >= scores[1] - 0.5


@needs_native
@pytest.mark.skipif(
    AVAILABLE[-1:] == [InstructionSet.AVX2],
    reason="without dot products of bytes ONNX Runtime quantises to seven bits: a third of its outputs differ",
)
def test_scores_ends_and_alignments_agree_with_the_graphs(
    students: Mapping[str, MarianStudent], graph_students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    graphs = get_engine_searcher(graph_students["en"])
    options = DecodingOptions(alignment=True)
    student, same, links, agreeing = students["en"], 0, 0, 0
    for at in range(0, len(rows), 32):
        batch = rows[at : at + 32]
        plain = GreedySearch(graphs.engine, graphs.shortlist, batch, options).run(never)
        for mine, other in zip(student.run(batch, options, never), plain, strict=True):
            if mine.ids == other.ids:
                same += 1
                assert mine.log_prob == pytest.approx(other.log_prob, abs=0.03 * mine.token_count)
                assert mine.truncated == other.truncated
                links += len(mine.alignment)
                agreeing += sum(a[0] == b[0] for a, b in zip(mine.alignment, other.alignment, strict=True))
    print(f"{same} of {len(rows)} alike, {agreeing} of {links} links")
    assert same >= 0.8 * len(rows)
    assert agreeing >= 0.98 * links


@needs_native
def test_an_output_ends_at_its_cap_and_is_reported_as_truncated(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    native = get_native(students["en"])
    whole = native.search(rows[:40], OPTIONS, never)
    assert not any(hypothesis.truncated for hypothesis in whole)
    for cap in (1, 3, 31, 32, 33):
        for full, cut in zip(
            whole, native.search(rows[:40], replace(OPTIONS, max_output_tokens=cap), never), strict=True
        ):
            assert cut.ids == full.ids[:cap]
            assert cut.truncated == (len(full.ids) > cap)
            assert (cut.log_prob == full.log_prob) == (not cut.truncated)
    exactly = replace(OPTIONS, max_output_tokens=len(whole[0].ids))
    assert native.search(rows[:1], exactly, never) == whole[:1]


@needs_native
def test_an_output_may_be_longer_than_the_stored_positions(rows: Sequence[TokenIds]) -> None:
    # The output of a source without an end token continues up to its cap.
    endless = [(*([17_347] * 120), 0)]
    native = build("en", AVAILABLE[-1])
    found = native.search(endless, DecodingOptions(max_length_ratio=10), never)[0]
    again = native.search([*endless, rows[0]], DecodingOptions(max_length_ratio=10), never)[0]
    assert found == again
    assert len(found.ids) > 512
    assert found.truncated == (len(found.ids) == 1_210)


@needs_native
def test_a_cancelled_batch_stops(students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]) -> None:
    native = get_native(students["en"])
    longest = max(rows, key=len)
    whole = native.search([longest], OPTIONS, never)[0]
    assert len(whole.ids) > 32
    cut = native.search([longest], OPTIONS, lambda: True)[0]
    assert cut.ids == whole.ids[:1]
    assert cut.truncated


class Polls:
    """A cancellation that counts its polls, and that the poll with the number `last` cancels."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def __call__(self) -> bool:
        self.count += 1
        return self.count == self._last


@needs_native
@pytest.mark.parametrize("options", [OPTIONS, DecodingOptions(beam_size=2)], ids=["greedy", "beam"])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_batch_ends_with_the_step_in_which_its_poll_time_comes(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds], options: DecodingOptions, steps: int
) -> None:
    native = get_native(students["en"])
    batch = [min((row for row in rows if len(row) > 12), key=len)] * 16  # one group of sources
    polls, due = Polls(steps), PollTime()
    due.set_after(0)
    stopped = native.search(batch, options, Cancellation(polls, due))
    assert polls.count == steps
    assert {len(hypothesis.ids) for hypothesis in stopped} == {steps}


@needs_native
def test_a_batch_without_a_poll_time_polls_after_some_steps(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    native = get_native(students["en"])
    polls, late = Polls(0), PollTime()
    longest = max(rows, key=len)
    whole = native.search([longest], OPTIONS, Cancellation(polls, late))
    assert whole == native.search([longest], OPTIONS, never)
    assert polls.count == len(whole[0].ids) // 32
    late.set_after(3600)
    again = Polls(0)
    assert native.search([longest], OPTIONS, Cancellation(again, late)) == whole
    assert again.count == polls.count


@needs_native
def test_a_cancelled_batch_stops_after_a_group_of_sources(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    native = get_native(students["en"])
    polls = 0

    def cancelled() -> bool:
        nonlocal polls
        polls += 1
        return True

    batch = sorted(rows, key=len)[-32:]
    assert sum(map(len, batch)) > 3 * 256
    assert all(not hypothesis.ids and hypothesis.truncated for hypothesis in native.search(batch, OPTIONS, cancelled))
    assert polls == 1


@needs_native
def test_threads_share_a_student(students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]) -> None:
    native = get_native(students["en"])
    batches = [rows[at : at + 9] for at in range(0, 180, 9)]
    expected = [native.search(batch, OPTIONS, never) for batch in batches]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            assert list(threads.map(lambda batch: native.search(batch, OPTIONS, never), batches)) == expected


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@needs_native
def test_loading_and_searching_leak_no_memory(rows: Sequence[TokenIds]) -> None:
    def once() -> None:
        student = build("en", AVAILABLE[-1])
        for at in range(0, 128, 32):
            student.search(rows[at : at + 32], OPTIONS, never)

    for _ in range(3):
        once()
    before = resident_bytes()
    for _ in range(12):
        once()
    # A leaked student would take 20 MB, a leaked batch 5 MB.
    assert resident_bytes() - before < 15e6


@needs_native
def test_a_student_of_an_unsupported_size_uses_the_graphs(tmp_path: Path) -> None:
    odd = replace(TINY, dimension=TINY.heads * 12)
    for shape, native in ((odd, False), (TINY, True)):
        folder = tmp_path / str(native)
        folder.mkdir()
        loaded = load_student(make_student(shape, split=False, shortlist=True).write(folder), 1)
        assert isinstance(loaded.searcher, NativeStudent) == native
        assert loaded.run([encoding.ids for encoding in loaded.encode(["house"])], OPTIONS, never)


def test_without_the_library_the_graphs_compute_everything(
    graph_students: Mapping[str, MarianStudent], rows: Sequence[TokenIds], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "choose_instruction_set", lambda: None)
    without = load_student(locate(PAIRS["en"]), 1)
    assert isinstance(without.searcher, EngineSearcher)
    assert without.run(rows[:20], OPTIONS, never) == graph_students["en"].run(rows[:20], OPTIONS, never)


_LOADED_MODULES = """
import sys
from pathlib import Path
from latimer_server.backends.marian.student import load_student
from latimer_server.core.decoding import DecodingOptions
student = load_student({name: Path(path) for name, path in (file.split("=", 1) for file in sys.argv[1:])}, 1)
rows = [encoding.ids for encoding in student.encode(["The house."])]
for options in (
    DecodingOptions(),
    DecodingOptions(whole_vocabulary=True),
    DecodingOptions(beam_size=4, hypothesis_count=2, repetition_penalty=1.2, no_repeat_ngram_size=2),
):
    student.run(rows, options, lambda: False)
print(sorted({"onnx", "onnxruntime", "torch"} & set(sys.modules)))
"""


@needs_native
def test_no_other_engine_is_loaded_for_any_options() -> None:
    files = [f"{name}={path}" for name, path in locate(PAIRS["en"]).items()]
    ended = subprocess.run([sys.executable, "-c", _LOADED_MODULES, *files], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    files = {"model": tmp_path / "none.bin", "vocabulary": tmp_path / "none.spm"}
    with pytest.raises(ModelFileError, match=r"none\.bin: cannot be read"):
        load_student(files, 1)


def test_the_library_is_built_if_a_compiler_is_available() -> None:
    compiler = shutil.which("g++")
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64") or compiler is None:
        pytest.skip("no g++, or not for this platform")
    version = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, check=True).stdout
    if int(version.split(".")[0]) < 11:
        pytest.skip("this g++ does not know AMX")
    assert open_library() is not None


_BY_ITSELF = """
import sys
from tests.conformance.test_student_native import print_outputs
print_outputs(sys.argv[1])
"""
# The compilers that the outputs are compared with, each with flags that change how it optimizes.
_COMPILERS = [
    ("g++", "-O2"),
    ("g++", "-Os"),
    ("g++", "-fno-inline"),
    ("clang++", "-O3"),
]


def print_outputs(path: str) -> None:
    """Prints the ids and scores of some rows by the library at `path`, for each of its instruction sets."""
    library = load_library(path)
    rows = [encoding.ids for encoding in load_student(locate(PAIRS["en"]), 1).encode(read_sentences("en"))]
    for instructions in list_instruction_sets(library):
        found = build("en", instructions, library=library).search(rows[:40], OPTIONS, never)
        print(instructions.label, [(hypothesis.ids, hypothesis.log_prob) for hypothesis in found])


@needs_native
@pytest.mark.parametrize(("compiler", "flag"), _COMPILERS)
def test_outputs_do_not_depend_on_the_compiler(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds], tmp_path: Path, compiler: str, flag: str
) -> None:
    # gcc assumes that a tile configuration has eight bytes. Without inlining the rest was lost, and SIGILL followed.
    found = find_tool(compiler)
    sources = sorted((Path(native_engine.__file__).parent / "native").glob("*.cpp"))
    library = tmp_path / "student.so"
    flags = ["-O3", flag, "-std=c++17", "-ffp-contract=off", "-fPIC", "-shared", "-w"]
    subprocess.run([found, *flags, "-o", library, *sources], check=True)
    ended = subprocess.run([sys.executable, "-c", _BY_ITSELF, library], capture_output=True, text=True)
    native = get_native(students["en"])
    expected = str([(hypothesis.ids, hypothesis.log_prob) for hypothesis in native.search(rows[:40], OPTIONS, never)])
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [f"{instructions.label} {expected}" for instructions in AVAILABLE]


@needs_native
def test_the_environment_chooses_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATIMER_ENGINE", raising=False)
    assert choose_instruction_set() is AVAILABLE[-1]
    for instructions in AVAILABLE:
        monkeypatch.setenv("LATIMER_ENGINE", instructions.label.upper())
        assert choose_instruction_set() is instructions
    monkeypatch.setenv("LATIMER_ENGINE", "onnx")
    assert choose_instruction_set() is None
    missing = next(instructions for instructions in InstructionSet if instructions not in AVAILABLE)
    monkeypatch.setenv("LATIMER_ENGINE", missing.label)
    with pytest.raises(ModelError, match=f"LATIMER_ENGINE={missing.label}: not on this machine, .*; onnx always runs"):
        choose_instruction_set()
    monkeypatch.setenv("LATIMER_ENGINE", "fast")
    with pytest.raises(ModelError, match=r"LATIMER_ENGINE='fast' names no engine; there are neon, .*, onnx"):
        choose_instruction_set()


@needs_native
def test_the_library_refuses_instructions_that_the_processor_lacks() -> None:
    missing = next(instructions for instructions in InstructionSet if instructions not in AVAILABLE)
    with pytest.raises(ValueError, match="or has no such kernels"):
        build("en", missing)


@pytest.mark.parametrize("content", [b"", b"no library", b"stale"])
def test_an_unusable_library_is_ignored_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = tmp_path / "_student.so"
    file.write_bytes(content)
    spec = ModuleSpec("_student", None, origin=str(file))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: spec)
    if content == b"stale":
        stale = SimpleNamespace(latimer_get_interface=lambda: 0)
        monkeypatch.setattr(native_library, "load_library", lambda _path: stale)
    assert open_library.__wrapped__() is None
    assert "the C++ of the students" in caplog.text


@needs_native
def test_a_model_without_a_multiplier_is_not_supported(tmp_path: Path) -> None:
    data = make_student(TINY, split=False, shortlist=True).write(tmp_path)["model"].read_bytes()
    for name in (b"encoder_l1_self_Wo_QuantMultA", b"decoder_l1_ffn_W2_QuantMultA"):
        file = MarianFile(data.replace(name, name[:-1] + b"B"), "model.bin")
        assert not supports_model(file, read_architecture(file.config, "model.bin"))
