"""Where the time of a student goes: `python -m benchmarks.micro.student_profile`.

Runs the embedded English-Portuguese student on one core: a sentence of twenty words alone, and full batches of the
handbook's sentences; prints the milliseconds of each part of our own C++, which is built once more with clocks in it
(that needs g++). `--onnx`: of the graphs that stand in for it, with each kind of operator as ONNX Runtime counts them.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from latimer_server.backends.marian import onnx_engine
from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine import choose_candidates
from latimer_server.backends.marian.lazy_engine import LazyEngine
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent, detect_instruction_set, load_library
from latimer_server.backends.marian.onnx_runtime import onnxruntime
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.config.settings import load_settings
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store

_SENTENCE = (
    "The committee will meet again next week to decide whether the old bridge near the station can be repaired in time."
)
_PARTS = ("encoder", "search")
_ROWS = 32
_SENTENCES = 960
_REPEATS = 100
_WARM = 5


class _Clock:
    """A session whose runs are timed."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401
        self._session = session
        self.seconds = 0.0

    def run(self, *arguments: Any) -> Any:  # noqa: ANN401
        started = time.perf_counter()
        found = self._session.run(*arguments)
        self.seconds += time.perf_counter() - started
        return found


def locate_student() -> Mapping[str, Path]:
    """The files of the embedded student."""
    store, entry = Store(load_settings(None).store), load_catalog().get("firefox-en-pt")
    return store.locate(entry)


def load_embedded_student() -> MarianStudent:
    """The embedded student, one batch at a time."""
    return load_student(locate_student(), 1)


def load_graphs() -> MarianStudent:
    """The same by ONNX Runtime."""
    student = load_embedded_student()
    engine = student._engine.open() if isinstance(student._engine, LazyEngine) else student._engine
    return MarianStudent(engine, student._source, student._target, student._shortlist)


# Of the clocks in the C++, in their order (`native/clock.h`).
_CLOCKS = ("reading", "writing", "candidates", "products", "attention", "scores")


def build_profiled(folder: Path) -> ctypes.CDLL:
    """The C++ with clocks in it."""
    source = Path(onnx_engine.__file__).parents[1] / "native" / "student.cpp"
    target = folder / "student.so"
    flags = ["-O3", "-std=c++17", "-fPIC", "-shared", "-w", "-DLATIMER_PROFILE"]
    subprocess.run(["g++", *flags, "-o", target, source], check=True)
    library = load_library(str(target))
    library.latimer_read_profile.restype = None
    library.latimer_read_profile.argtypes = [ctypes.c_void_p]
    return library


def time_native(texts: Sequence[str], size: int) -> tuple[dict[str, float], int, int]:
    """Seconds of each part, and the tokens read and written."""
    student, files = load_embedded_student(), locate_student()
    file = MarianFile(files["model"].read_bytes(), "model.bin")
    with tempfile.TemporaryDirectory() as folder:
        library = build_profiled(Path(folder))
    shape = read_architecture(file.config, "model.bin")
    native = NativeStudent(file, shape, student._shortlist, detect_instruction_set(), library)
    student._native = native
    ordered = sorted(texts, key=len)
    run_all(student, [encoding.ids for encoding in student.encode(ordered)], size)
    clocks = np.zeros((2, len(_CLOCKS)))
    library.latimer_read_profile(clocks.ctypes.data)
    started = time.perf_counter()
    encodings = student.encode(ordered)
    encoded = time.perf_counter()
    hypotheses = run_all(student, [encoding.ids for encoding in encodings], size)
    ran = time.perf_counter()
    student.decode([hypothesis.ids for hypothesis in hypotheses])
    ended = time.perf_counter()
    library.latimer_read_profile(clocks.ctypes.data)
    reading, writing = ({name: row[n] / 1e9 for n, name in enumerate(_CLOCKS)} for row in clocks)
    inside = reading["reading"] + writing["writing"] + reading["candidates"]
    parts = {
        "text to tokens and back": encoded - started + ended - ran,
        "candidates: finding and gathering": reading["candidates"],
        "encoder: products": reading["products"],
        "encoder: attention": reading["attention"],
        "encoder: norms, rounding, the rest": reading["reading"] - reading["products"] - reading["attention"],
        "decoder: products": writing["products"],
        "decoder: attention": writing["attention"],
        "decoder: candidates' scores, the choice": writing["scores"],
        "decoder: norms, cells, the rest": writing["writing"]
        - sum(writing[name] for name in ("products", "attention", "scores")),
        "bookkeeping (Python)": ran - encoded - inside,
    }
    written = sum(hypothesis.token_count for hypothesis in hypotheses)
    return parts, sum(len(encoding.ids) for encoding in encodings), written


def run_all(student: MarianStudent, rows: Sequence[TokenIds], size: int) -> list[Hypothesis]:
    """All rows, in batches of this size."""
    options = DecodingOptions()
    found = [student.run(rows[at : at + size], options, lambda: False) for at in range(0, len(rows), size)]
    return [hypothesis for batch in found for hypothesis in batch]


def time_parts(texts: Sequence[str], size: int) -> tuple[dict[str, float], int, int]:
    """Seconds of each part, and the tokens read and written."""
    student = load_graphs()
    engine: Any = student._engine
    clocks = {name: _Clock(getattr(engine, f"_{name}")) for name in _PARTS}
    ordered = sorted(texts, key=len)
    run_all(student, [encoding.ids for encoding in student.encode(ordered)], size)
    for name, clock in clocks.items():
        setattr(engine, f"_{name}", clock)
    started = time.perf_counter()
    encodings = student.encode(ordered)
    encoded = time.perf_counter()
    hypotheses = run_all(student, [encoding.ids for encoding in encodings], size)
    ran = time.perf_counter()
    student.decode([hypothesis.ids for hypothesis in hypotheses])
    ended = time.perf_counter()
    computed = {name: clock.seconds for name, clock in clocks.items()}
    parts = {
        "text to tokens and back": encoded - started + ended - ran,
        "encoder": computed["encoder"],
        "decoder steps, search in them": computed["search"],
        "candidates and bookkeeping (Python)": ran - encoded - sum(computed.values()),
    }
    written = sum(hypothesis.token_count for hypothesis in hypotheses)
    return parts, sum(len(encoding.ids) for encoding in encodings), written


def count_candidates(texts: Sequence[str], size: int) -> float:
    """The candidates of a batch, on average."""
    student = load_embedded_student()
    rows = [encoding.ids for encoding in student.encode(sorted(texts, key=len))]
    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    return statistics.mean(
        len(choose_candidates(student._engine, student._shortlist, batch).union) for batch in batches
    )


def time_operators(texts: Sequence[str], size: int) -> Counter[str]:
    """Microseconds of each kind of operator, by the graph that it stands in."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, _profiled(Path(folder)) as sessions:
        student = load_graphs()
        run_all(student, [encoding.ids for encoding in student.encode(sorted(texts, key=len))], size)
        for name, session in zip(_PARTS, sessions[:2], strict=True):
            for event in json.loads(Path(session.end_profiling()).read_text("utf-8")):
                if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
                    continue
                if event["args"]["op_name"] != "Loop":  # whose time is that of what is in it
                    found[f"{name}: {event['args']['op_name']}"] += event["dur"]
    return found


@contextmanager
def _profiled(folder: Path) -> Iterator[list[Any]]:
    """Sessions that are started meanwhile write what they do; the last three are the student's."""
    start = onnx_engine._start
    made: list[Any] = []

    def start_profiled(model: Any) -> Any:  # noqa: ANN401
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = options.enable_cpu_mem_arena = False
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / f"session{len(made)}")
        made.append(
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        )
        return made[-1]

    onnx_engine._start = start_profiled
    sessions: list[Any] = []
    try:
        choose = onnx_engine.choose_quantization_levels
        levels = choose()
        made.clear()
        onnx_engine.choose_quantization_levels = lambda: levels
        sessions = made
        yield sessions
    finally:
        onnx_engine._start, onnx_engine.choose_quantization_levels = start, choose


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnx", action="store_true", help="the graphs instead of the C++")
    onnx = parser.parse_args().onnx
    console = Console(width=130)
    cases = {
        f"a sentence of {len(_SENTENCE.split())} words, alone": ([_SENTENCE] * _REPEATS, 1),
        f"{_SENTENCES} sentences in batches of {_ROWS}": (sample_sentences("en-US", _SENTENCES), _ROWS),
    }
    for title, (texts, size) in cases.items():
        words = sum(len(text.split()) for text in texts)
        parts, read, written = (time_parts if onnx else time_native)(texts, size)
        total = sum(parts.values())
        table = Table(title=f"{title}: {words / total:,.0f} words a second on one core")
        for heading in ("part", "ms a sentence", "share"):
            table.add_column(heading, justify="left" if heading == "part" else "right")
        for name, seconds in parts.items():
            table.add_row(name, f"{1e3 * seconds / len(texts):.2f}", f"{seconds / total:.0%}")
        console.print(table)
        candidates = count_candidates(texts, size)
        console.print(
            f"{read / words:.2f} tokens read and {written / words:.2f} written for each word; "
            f"{candidates:,.0f} candidates a batch"
        )
        if not onnx:
            continue
        operators = time_operators(texts, size)
        everything = sum(operators.values())
        kinds = Table(title="operators, as ONNX Runtime counts them")
        for heading in ("graph: operator", "share of all operators"):
            kinds.add_column(heading, justify="left" if heading.startswith("graph") else "right")
        for name, microseconds in operators.most_common(14):
            kinds.add_row(name, f"{microseconds / everything:.1%}")
        console.print(kinds)


if __name__ == "__main__":
    main()
