"""Measures what each way to round a student to int8 costs in quality: `python -m benchmarks.quality.rounding`.

Translates sentences of the handbook in both directions with float32 and with each way to round. Prints chrF against
float32, the share of identical outputs, the number of truncated outputs, and words a second of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sacrebleu
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from benchmarks.students import locate_student, run_in_batches
from latimer_server.backends.marian.engine_search import EngineSearcher
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.onnx_engine import OnnxEngine
from latimer_server.backends.marian.onnx_operators import Graph
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.backends.marian.weights import QuantizationLevels
from latimer_server.core.decoding import Hypothesis, TokenIds

_MODELS = (("firefox-en-pt", "en-US"), ("firefox-pt-en", "pt-BR"))
_SENTENCES = 500
_ROWS = 32
_LONGEST = 128

Multiply = Callable[..., str]


def multiply_by_file(graph: Graph, x: str, name: str, bias: str, size: int, factor: float = 1.0) -> str:
    """Rounds the inputs of attention and of the decoder's cell by the multipliers of the model file."""
    read = graph.quantize(x, graph.weights.multiplier(name))
    product = graph._multiply_bytes(read, name, size, size, factor)
    return graph.add("Add", product, graph._bias(bias, size, factor)) if bias else product


def feed_forward_by_rows(graph: Graph, x: str, prefix: str) -> str:
    """Rounds the inputs of both products of a feed-forward layer by rows."""
    inner, outer = graph.weights.shape.ffn_dimension, graph.weights.shape.dimension
    hidden = graph.add("Relu", _multiply_rows(graph, x, f"{prefix}_W1", f"{prefix}_b1", outer, inner))
    added = _multiply_rows(graph, hidden, f"{prefix}_W2", f"{prefix}_b2", inner, outer)
    return graph.normalize(x, added, f"{prefix}_ffn_ln")


def _multiply_rows(graph: Graph, x: str, name: str, bias: str, rows: int, columns: int) -> str:
    read, peaks = graph.quantize_rows(x)
    product = graph._multiply_bytes(read, name, rows, columns, peaks=peaks)
    return graph.add("Add", product, graph._bias(bias, columns))


@dataclass(frozen=True)
class Way:
    """A way to round: methods that replace those of `Graph`, and the quantization levels. None: float32."""

    name: str
    methods: tuple[tuple[str, Multiply], ...] = ()
    levels: QuantizationLevels | None = QuantizationLevels()


WAYS = (
    Way("float32", levels=None),
    Way("all by the file's multipliers", (("multiply_rows", multiply_by_file),)),
    Way("chosen: feed-forward layers by the file's multipliers, the rest by rows"),
    Way("all by rows", (("feed_forward", feed_forward_by_rows),)),
    Way("chosen, in seven bits", levels=QuantizationLevels(63)),
)


@contextmanager
def replaced(way: Way) -> Iterator[None]:
    """Replaces the methods of `Graph` until the block ends, so that graphs are built in this way."""
    kept = [(name, getattr(Graph, name)) for name, _ in way.methods]
    for name, method in way.methods:
        setattr(Graph, name, method)
    try:
        yield
    finally:
        for name, method in kept:
            setattr(Graph, name, method)


def translate(student: MarianStudent, rows: Sequence[TokenIds]) -> tuple[list[Hypothesis], float]:
    """Returns the hypotheses, shortest source first, and the CPU seconds of the decoding."""
    ordered = sorted(rows, key=len)
    started = time.process_time()
    hypotheses = run_in_batches(student, ordered, _ROWS)
    return hypotheses, time.process_time() - started


def main() -> None:
    """Prints a table for each direction."""
    console = Console(width=130)
    for name, language in _MODELS:
        files = locate_student(name)
        student = load_student(files, 1)
        source = MarianFile(files["model"].read_bytes(), files["model"].name)
        texts = sample_sentences(language, _SENTENCES)
        rows = [encoding.ids for encoding in student.encode(texts)]
        rows = [row for row in rows if len(row) <= _LONGEST]
        words = sum(len(text.split()) for text in texts)
        table = Table(title=f"{name}, {len(rows)} sentences, against float32")
        for heading in ("way", "chrF", "identical", "truncated", "words/s of a core"):
            table.add_column(heading, justify="left" if heading == "way" else "right")
        exact: list[Hypothesis] = []
        for way in WAYS:
            with replaced(way):
                engine = OnnxEngine(source, name, way.levels)
            other = MarianStudent(EngineSearcher(engine, student.searcher.shortlist), student._source, student._target)
            rounded, seconds = translate(other, rows)
            exact = exact or rounded
            written, expected = (other.decode([hypothesis.ids for hypothesis in each]) for each in (rounded, exact))
            same = sum(left.ids == right.ids for left, right in zip(rounded, exact, strict=True))
            table.add_row(
                way.name,
                f"{sacrebleu.corpus_chrf(written, [expected]).score:.2f}",
                f"{same / len(rounded):.1%}",
                str(sum(hypothesis.truncated for hypothesis in rounded)),
                f"{words / seconds:,.0f}",
            )
        console.print(table)


if __name__ == "__main__":
    main()
