"""Tests of the library of the C++ engine: any compiler builds the same outputs, the processor and the environment
choose its kernels, and students run on ONNX Runtime without it."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest

from latimer_server.backends.marian import native_engine, native_library, student
from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine_search import EngineSearcher
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
from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.core.errors import ModelError, ModelFileError
from tests.conformance.conftest import (
    PAIRS,
    build_native,
    get_native,
    locate,
    needs_native,
    never,
    read_sentences,
)
from tests.marian_students import TINY, make_student
from tests.native_builds import AVAILABLE, find_tool

OPTIONS = DecodingOptions()


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
from tests.conformance.test_student_library import print_outputs
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
        found = build_native("en", instructions, library=library).search(rows[:40], OPTIONS, never)
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
        build_native("en", missing)


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
