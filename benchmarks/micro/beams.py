"""Compares beam search in the C++ engine with the same search on ONNX Runtime: `python -m benchmarks.micro.beams`.

Times both on one core in turns, on the same rows in batches of 32. Measures the memory that each adds to the process
when it is loaded and used first. The ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from benchmarks.students import load_embedded_student, locate_student, run_in_batches
from latimer_server.backends.marian.engine_search import EngineSearcher
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions

_MODEL = "firefox-en-pt"
_SEARCHES = {
    "greedy": DecodingOptions(),
    "greedy, whole vocabulary": DecodingOptions(whole_vocabulary=True),
    "beam 4": DecodingOptions(beam_size=4),
    "beam 4, penalties": DecodingOptions(beam_size=4, repetition_penalty=1.2, no_repeat_ngram_size=3),
    "8 alternatives": DecodingOptions(hypothesis_count=8),
}


def load_graphs(student: MarianStudent) -> MarianStudent:
    """Returns the embedded student on ONNX Runtime. It shares vocabulary and shortlist with `student`."""
    # Imported here, because the library counts as memory of this engine.
    from latimer_server.backends.marian.onnx_engine import OnnxEngine, choose_quantization_levels

    data = locate_student(_MODEL)["model"].read_bytes()
    engine = OnnxEngine(MarianFile(data, _MODEL), _MODEL, choose_quantization_levels())
    return MarianStudent(EngineSearcher(engine, student.searcher.shortlist), student._source, student._target)


def read_resident_megabytes() -> float:
    """Returns the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_memory(load: Callable[[], MarianStudent], texts: list[str]) -> tuple[MarianStudent, float]:
    """Loads a student and runs a beam search. Returns it, and the megabytes that the process has grown by."""
    before = read_resident_megabytes()
    student = load()
    run_in_batches(student, [encoding.ids for encoding in student.encode(texts)], 32, DecodingOptions(beam_size=4))
    return student, read_resident_megabytes() - before


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro.beams", description=__doc__)
    parser.add_argument("--sentences", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    texts = sorted(sample_sentences("en-US", arguments.sentences), key=len)
    native, native_growth = measure_memory(lambda: load_embedded_student(_MODEL, 1), texts)
    graphs, graphs_growth = measure_memory(lambda: load_graphs(native), texts)
    rows = [encoding.ids for encoding in native.encode(texts)]
    table = Table(title=f"CPU seconds of one core for {len(rows)} sentences in batches of 32")
    for heading in ("search", f"C++ ({native.compute_type})", f"ONNX Runtime ({graphs.compute_type})", "ratio"):
        table.add_column(heading, justify="left" if heading == "search" else "right")
    for name, options in _SEARCHES.items():
        seconds: list[list[float]] = []
        for _ in range(arguments.rounds):
            taken = []
            for student in (native, graphs):
                started = time.process_time()
                run_in_batches(student, rows, 32, options)
                taken.append(time.process_time() - started)
            seconds.append(taken)
        ratio = statistics.median(after / before for before, after in seconds)
        columns = (statistics.median(column) for column in zip(*seconds, strict=True))
        table.add_row(name, *(f"{value:.2f}" for value in columns), f"{ratio:.2f}")
    table.add_row("memory, MB", f"{native_growth:.0f}", f"{graphs_growth:.0f}", "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
