"""Fixtures and helpers: the real embedded models, from the store that `make install` fills."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine import Engine
from latimer_server.backends.marian.engine_search import EngineSearcher
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent
from latimer_server.backends.marian.native_library import InstructionSet
from latimer_server.backends.marian.onnx_engine import OnnxEngine, choose_quantization_levels
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.backends.marian.weights import QuantizationLevels
from latimer_server.config.settings import load_settings
from latimer_server.core.decoding import TokenIds
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store
from tests.native_builds import AVAILABLE

needs_native = pytest.mark.skipif(
    not AVAILABLE,
    reason="not built, or not for this processor: students run on ONNX Runtime",
)
PAIRS = {"en": "firefox-en-pt", "pt": "firefox-pt-en"}


def locate(name: str) -> Mapping[str, Path]:
    """Returns the files of an embedded model by role. `make install` fetches them."""
    store, entry = Store(load_settings(None).store), load_catalog().get(name)
    assert store.has(entry), f"{name} is not fetched: run `make install`"
    return store.locate(entry)


def build_native(
    source: str, instructions: InstructionSet, *, listed: bool = True, library: ctypes.CDLL | None = None
) -> NativeStudent:
    """Builds the embedded student of a source language. `listed`: with its shortlist."""
    files = locate(PAIRS[source])
    file = MarianFile(files["model"].read_bytes(), "model.bin")
    shortlist = load_student(files, 1).searcher.shortlist if listed else None
    return NativeStudent(file, read_architecture(file.config, "model.bin"), shortlist, instructions, library)


def never() -> bool:
    """A cancellation callback that never cancels."""
    return False


@pytest.fixture(scope="session")
def students() -> Mapping[str, MarianStudent]:
    """Both embedded students, by source language."""
    return {source: load_student(locate(name), 2) for source, name in PAIRS.items()}


@pytest.fixture(scope="session")
def rows(students: Mapping[str, MarianStudent]) -> Sequence[TokenIds]:
    """The tokens of the real English sentences."""
    return [encoding.ids for encoding in students["en"].encode(read_sentences("en"))]


@pytest.fixture(scope="session")
def exact_students() -> Mapping[str, MarianStudent]:
    """Both embedded students in float32, for exact comparisons between two ways of computation."""
    return {source: load_student(locate(name), 2, compute_type="float32") for source, name in PAIRS.items()}


@pytest.fixture(scope="session")
def graph_students(students: Mapping[str, MarianStudent]) -> Mapping[str, MarianStudent]:
    """Both embedded students on ONNX Runtime in int8, as on a machine without the C++ engine."""
    return {source: on_graphs(students[source], locate(name)["model"].read_bytes()) for source, name in PAIRS.items()}


def on_graphs(student: MarianStudent, model: bytes, levels: QuantizationLevels | None = None) -> MarianStudent:
    """Returns the student of this model file on ONNX Runtime, in int8. `levels`: those of this processor if None."""
    file = MarianFile(model, "model.bin")
    return with_engine(student, OnnxEngine(file, "model.bin", levels or choose_quantization_levels()))


def with_engine(student: MarianStudent, engine: Engine) -> MarianStudent:
    """Returns the student with another engine of the same model."""
    return MarianStudent(EngineSearcher(engine, student.searcher.shortlist), student._source, student._target)


def get_engine_searcher(student: MarianStudent) -> EngineSearcher:
    """Returns the searcher of a student that an engine computes, not the C++."""
    assert isinstance(student.searcher, EngineSearcher)
    return student.searcher


def get_native(student: MarianStudent) -> NativeStudent:
    """Returns the C++ engine of a student."""
    assert isinstance(student.searcher, NativeStudent)
    return student.searcher


def read_sentences(language: str) -> list[str]:
    """Returns 320 real sentences: everyday ones and sentences of a handbook."""
    folder = Path(__file__).parent.parent / "data"
    files = [folder / f"{kind}.{language}.txt" for kind in ("everyday", "handbook")]
    return [line for file in files for line in file.read_text("utf-8").splitlines()]
