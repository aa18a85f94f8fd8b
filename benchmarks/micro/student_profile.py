"""Profiles the embedded English-Portuguese student on one core: `python -m benchmarks.micro.student_profile`.

Translates a sentence of twenty words alone, and full batches of the handbook's sentences. Prints the milliseconds of
each part of the C++ engine, which is compiled once more with clocks in it, by `CXX` (g++ without it), and how long that
build takes beside the installed one. The exit status is 1 if it takes more than 1.05 times as long, because its parts
are then those of another program. With `--onnx`, profiles the ONNX graphs that replace the C++ engine where it cannot
run, and lists the time of each kind of operator.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from benchmarks.native_programs import build_engine, name_compiler
from benchmarks.students import NAMES, load_embedded_student, locate_student, run_in_batches
from latimer_server.backends.marian import onnx_engine
from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine import choose_candidates
from latimer_server.backends.marian.engine_search import EngineSearcher
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent
from latimer_server.backends.marian.native_library import choose_instruction_set, load_library
from latimer_server.backends.marian.onnx_runtime import onnxruntime
from latimer_server.backends.marian.student import MarianStudent

_MODEL = NAMES["en", "pt"]
_SENTENCE = (
    "The committee will meet again next week to decide whether the old bridge near the station can be repaired in time."
)
_GRAPHS = ("encoder", "search")
_ROWS = 32
_SENTENCES = 960
_REPEATS = 100
_TURNS = 7
_MOST_SLOWER = 1.05


@dataclass(frozen=True)
class Stages:
    """Seconds of `text` (to tokens and back) and of the `model`; tokens `read` and `written`."""

    text: float
    model: float
    read: int
    written: int


class _Clock:
    """A session that measures the seconds of its runs."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401
        self._session = session
        self.seconds = 0.0

    def run(self, *arguments: Any) -> Any:  # noqa: ANN401
        started = time.perf_counter()
        outputs = self._session.run(*arguments)
        self.seconds += time.perf_counter() - started
        return outputs


def load_graphs() -> MarianStudent:
    """Loads the embedded student with the engine of ONNX Runtime."""
    student, file = load_embedded_student(_MODEL, 1), MarianFile(locate_student(_MODEL)["model"].read_bytes(), _MODEL)
    engine = onnx_engine.OnnxEngine(file, _MODEL, onnx_engine.choose_quantization_levels())
    return MarianStudent(EngineSearcher(engine, student.searcher.shortlist), student._source, student._target)


# Names of the clocks in the C++ engine, in their order (`native/clock.h`).
_CLOCKS = ("reading", "writing", "candidates", "products", "attention", "scores")


def build_profiled(folder: Path) -> ctypes.CDLL:
    """Compiles the C++ engine with clocks in it. Raises CalledProcessError if the compiler fails."""
    target = build_engine(name_compiler(), folder / "student.so", ["-DLATIMER_PROFILE"])
    library = load_library(str(target))
    library.latimer_read_profile.restype = None
    library.latimer_read_profile.argtypes = [ctypes.c_void_p]
    return library


def time_stages(student: MarianStudent, texts: Sequence[str], size: int, start: Callable[[], None]) -> Stages:
    """Translates the texts, sorted by length, in batches of `size`. An uncounted translation first warms up; `start` is
    called after it."""
    ordered = sorted(texts, key=len)
    run_in_batches(student, [encoding.ids for encoding in student.encode(ordered)], size)
    start()
    started = time.perf_counter()
    encodings = student.encode(ordered)
    encoded = time.perf_counter()
    hypotheses = run_in_batches(student, [encoding.ids for encoding in encodings], size)
    decoded = time.perf_counter()
    student.decode([hypothesis.ids for hypothesis in hypotheses])
    ended = time.perf_counter()
    return Stages(
        text=encoded - started + ended - decoded,
        model=decoded - encoded,
        read=sum(len(encoding.ids) for encoding in encodings),
        written=sum(hypothesis.token_count for hypothesis in hypotheses),
    )


def compare_builds(profiled: MarianStudent, texts: Sequence[str], size: int) -> float:
    """Returns the CPU time of the profiled build as a multiple of the installed one's: the median of several turns."""
    installed, ratios = load_embedded_student(_MODEL, 1), []
    rows = [encoding.ids for encoding in installed.encode(sorted(texts, key=len))]
    for _ in range(_TURNS):
        spent = []
        for student in (profiled, installed):
            started = time.process_time()
            run_in_batches(student, rows, size)
            spent.append(time.process_time() - started)
        ratios.append(spent[0] / spent[1])
    return statistics.median(ratios)


def time_native(texts: Sequence[str], size: int) -> tuple[dict[str, float], Stages, float]:
    """Returns the seconds of each part of the C++ engine and of the stages around it, and how many times as long as the
    installed build the profiled one takes."""
    student, files = load_embedded_student(_MODEL, 1), locate_student(_MODEL)
    file = MarianFile(files["model"].read_bytes(), "model.bin")
    with tempfile.TemporaryDirectory() as folder:
        library = build_profiled(Path(folder))
    shape = read_architecture(file.config, "model.bin")
    instructions = choose_instruction_set()
    if instructions is None:
        sys.exit("this processor has no kernels, or LATIMER_ENGINE chooses ONNX Runtime: use --onnx")
    student.searcher = NativeStudent(file, shape, student.searcher.shortlist, instructions, library)
    clocks = np.zeros((2, len(_CLOCKS)))

    def read_clocks() -> None:
        library.latimer_read_profile(clocks.ctypes.data)  # also sets them back to zero

    stages = time_stages(student, texts, size, read_clocks)
    read_clocks()
    encoder, decoder = ({name: row[n] / 1e9 for n, name in enumerate(_CLOCKS)} for row in clocks)
    inside = encoder["reading"] + decoder["writing"] + encoder["candidates"]
    parts = {
        "text to tokens and back": stages.text,
        "candidates: finding and gathering": encoder["candidates"],
        "encoder: products": encoder["products"],
        "encoder: attention": encoder["attention"],
        "encoder: norms, rounding, the rest": encoder["reading"] - encoder["products"] - encoder["attention"],
        "decoder: products": decoder["products"],
        "decoder: attention": decoder["attention"],
        "decoder: scores of candidates, choice": decoder["scores"],
        "decoder: norms, cells, the rest": decoder["writing"]
        - sum(decoder[name] for name in ("products", "attention", "scores")),
        "bookkeeping (Python)": stages.model - inside,
    }
    return parts, stages, compare_builds(student, texts, size)


def time_graphs(texts: Sequence[str], size: int) -> tuple[dict[str, float], Stages, float]:
    """Returns the seconds of each graph of the ONNX engine and of the stages around them, and 1: there is one build."""
    student = load_graphs()
    searcher: Any = student.searcher
    engine = searcher.engine
    clocks = {name: _Clock(getattr(engine, f"_{name}")) for name in _GRAPHS}

    def insert_clocks() -> None:
        for name, clock in clocks.items():
            setattr(engine, f"_{name}", clock)

    stages = time_stages(student, texts, size, insert_clocks)
    computed = {name: clock.seconds for name, clock in clocks.items()}
    parts = {
        "text to tokens and back": stages.text,
        "encoder": computed["encoder"],
        "decoder steps with their search": computed["search"],
        "candidates and bookkeeping (Python)": stages.model - sum(computed.values()),
    }
    return parts, stages, 1.0


def count_candidates(texts: Sequence[str], size: int) -> float:
    """Returns the mean number of candidates of a batch."""
    student = load_graphs()
    searcher: Any = student.searcher
    rows = [encoding.ids for encoding in student.encode(sorted(texts, key=len))]
    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    return statistics.mean(
        len(choose_candidates(searcher.engine, searcher.shortlist, batch).union) for batch in batches
    )


def time_operators(texts: Sequence[str], size: int) -> Counter[str]:
    """Returns the microseconds of each kind of operator of each graph."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, _profiled(Path(folder)) as sessions:
        student = load_graphs()
        run_in_batches(student, [encoding.ids for encoding in student.encode(sorted(texts, key=len))], size)
        for name, session in zip(_GRAPHS, sessions[:2], strict=True):
            for event in json.loads(Path(session.end_profiling()).read_text("utf-8")):
                if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
                    continue
                if event["args"]["op_name"] != "Loop":  # its time is the sum of its operators
                    found[f"{name}: {event['args']['op_name']}"] += event["dur"]
    return found


@contextmanager
def _profiled(folder: Path) -> Iterator[list[Any]]:
    """Enables profiling of all sessions that are started in the block. Yields these sessions."""
    start = onnx_engine._start
    sessions: list[Any] = []

    def start_profiled(model: Any) -> Any:  # noqa: ANN401
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = options.enable_cpu_mem_arena = False
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / f"session{len(sessions)}")
        sessions.append(
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        )
        return sessions[-1]

    onnx_engine._start = start_profiled
    try:
        choose = onnx_engine.choose_quantization_levels
        levels = choose()
        sessions.clear()  # the choice of levels starts a session of its own
        onnx_engine.choose_quantization_levels = lambda: levels
        yield sessions
    finally:
        onnx_engine._start, onnx_engine.choose_quantization_levels = start, choose


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnx", action="store_true", help="profile the ONNX graphs instead of the C++ engine")
    onnx = parser.parse_args().onnx
    console, like_installed = Console(width=130), True
    cases = {
        f"a sentence of {len(_SENTENCE.split())} words, alone": ([_SENTENCE] * _REPEATS, 1),
        f"{_SENTENCES} sentences in batches of {_ROWS}": (sample_sentences("en-US", _SENTENCES), _ROWS),
    }
    for title, (texts, size) in cases.items():
        words = sum(len(text.split()) for text in texts)
        parts, stages, slower = (time_graphs if onnx else time_native)(texts, size)
        total = sum(parts.values())
        table = Table(title=f"{title}: {words / total:,.0f} words a second on one core")
        for heading in ("part", "ms a sentence", "share"):
            table.add_column(heading, justify="left" if heading == "part" else "right")
        for name, seconds in parts.items():
            table.add_row(name, f"{1e3 * seconds / len(texts):.2f}", f"{seconds / total:.0%}")
        console.print(table)
        candidates = count_candidates(texts, size)
        console.print(
            f"{stages.read / words:.2f} tokens read and {stages.written / words:.2f} written for each word; "
            f"{candidates:,.0f} candidates a batch"
        )
        if not onnx:
            console.print(f"the build with clocks takes {slower:.3f} times as long as the installed one")
            like_installed = like_installed and slower <= _MOST_SLOWER
            continue
        operators = time_operators(texts, size)
        everything = sum(operators.values())
        kinds = Table(title="operators, as measured by ONNX Runtime")
        for heading in ("graph: operator", "share of all operators"):
            kinds.add_column(heading, justify="left" if heading.startswith("graph") else "right")
        for name, microseconds in operators.most_common(14):
            kinds.add_row(name, f"{microseconds / everything:.1%}")
        console.print(kinds)
    if not like_installed:
        sys.exit(f"the build with clocks takes more than {_MOST_SLOWER} times as long as the installed one")


if __name__ == "__main__":
    main()
