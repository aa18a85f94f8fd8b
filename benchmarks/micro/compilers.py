"""Compares the C++ compilers that can build the students' engine.

    python -m benchmarks.micro.compilers g++ clang++-19

Builds the engine by each compiler with the flags of setup.py. Translates sentences of the handbook in batches of 32 and
one at a time by each build, in turns, for each instruction set of this machine. Prints the CPU seconds and how many
times those of the first compiler they are (medians; other programs on the cores count little). Outputs and scores must
be equal; the exit status is 1 if they are not.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from benchmarks.native_programs import build_engine
from benchmarks.students import NAMES, NEVER_CANCELLED, load_embedded_student, locate_student
from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent
from latimer_server.backends.marian.native_library import InstructionSet, list_instruction_sets, load_library
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds

_MODEL = NAMES["en", "pt"]
_SENTENCES = 320
_ALONE = 80
_TURNS = 9


def load_students(paths: Sequence[Path], instructions: InstructionSet) -> list[NativeStudent]:
    """Loads the embedded student by each library."""
    shortlist = load_embedded_student(_MODEL, 1).searcher.shortlist
    file = MarianFile(locate_student(_MODEL)["model"].read_bytes(), "model.bin")
    shape = read_architecture(file.config, "model.bin")
    return [NativeStudent(file, shape, shortlist, instructions, load_library(str(path))) for path in paths]


def translate(student: NativeStudent, rows: Sequence[TokenIds], size: int) -> tuple[float, list[Hypothesis]]:
    """Returns the CPU seconds of all rows in batches of `size`, and the outputs."""
    started, found = time.process_time(), list[Hypothesis]()
    for at in range(0, len(rows), size):
        found += student.search(rows[at : at + size], DecodingOptions(), NEVER_CANCELLED)
    return time.process_time() - started, found


def compare(students: Sequence[NativeStudent], rows: Sequence[TokenIds], size: int) -> tuple[list[list[float]], bool]:
    """Returns the CPU seconds of each student in each turn, and True if all outputs are equal."""
    seconds: list[list[float]] = [[] for _ in students]
    equal, expected = True, translate(students[0], rows, size)[1]
    for _ in range(_TURNS):
        for student, taken in zip(students, seconds, strict=True):
            spent, found = translate(student, rows, size)
            taken.append(spent)
            equal = equal and found == expected
    return seconds, equal


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro.compilers", description=__doc__.splitlines()[0])
    parser.add_argument("compilers", nargs="+", metavar="COMPILER")
    compilers: list[str] = parser.parse_args().compilers
    texts = sorted(sample_sentences("en-US", _SENTENCES), key=len)
    rows = [encoding.ids for encoding in load_embedded_student(_MODEL, 1).encode(texts)]
    table, same = Table(title="CPU seconds of one core"), True
    for heading in ("kernels", "sentences", "compiler", "seconds", f"times those of {compilers[0]}"):
        table.add_column(heading, justify="left" if heading in ("kernels", "sentences", "compiler") else "right")
    with tempfile.TemporaryDirectory() as folder:
        paths = [build_engine(name, Path(folder) / f"{n}.so") for n, name in enumerate(compilers)]
        for instructions in list_instruction_sets(load_library(str(paths[0]))):
            students = load_students(paths, instructions)
            cases = ((f"{len(rows)} in batches of 32", rows, 32), (f"{_ALONE} alone", rows[:: len(rows) // _ALONE], 1))
            for case, chosen, size in cases:
                seconds, equal = compare(students, chosen, size)
                same = same and equal
                for name, taken in zip(compilers, seconds, strict=True):
                    ratio = statistics.median(a / b for a, b in zip(taken, seconds[0], strict=True))
                    table.add_row(instructions.label, case, name, f"{statistics.median(taken):.3f}", f"{ratio:.3f}")
    Console(width=110).print(table)
    if not same:
        sys.exit("outputs differ between compilers")


if __name__ == "__main__":
    main()
