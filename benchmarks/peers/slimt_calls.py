"""Measures how the outputs of slimt depend on the texts of a call: `python -m benchmarks.peers.slimt_calls`.

Translates 64 sentences in calls of 1, 2, 8 and 64, twice each. Prints chrF against our engine's outputs, the number of
outputs that are equal to those of calls of one sentence and to those of the second time, and the CPU seconds. An engine
without faults prints 64 of 64 in each row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import sacrebleu
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from benchmarks.peers.contestants import SLIMT, list_commands, locate_model
from benchmarks.peers.install import install_peers
from benchmarks.students import NAMES, load_embedded_student, run_in_batches

_SENTENCES = 64
_SIZES = (1, 2, 8, 64)


class Slimt:
    """A process of slimt with one worker."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def translate(self, sentences: Sequence[str], size: int) -> tuple[list[str], float]:
        """Returns the outputs of calls of `size` sentences, and the CPU seconds of the process."""
        started, outputs = self._read_seconds(), list[str]()
        assert self._process.stdin is not None
        for at in range(0, len(sentences), size):
            request = {"id": at, "texts": list(sentences[at : at + size])}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            outputs += json.loads(self._read())["texts"]
        return outputs, self._read_seconds() - started

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _read_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Prints the table."""
    commands = list_commands(install_peers(), locate_model(), 1)
    if SLIMT not in commands:
        sys.exit("slimt has no wheel for this Python and processor")
    sentences = sorted(sample_sentences("en-US", _SENTENCES), key=len)
    student = load_embedded_student(NAMES["en", "pt"], 1)
    rows = [encoding.ids for encoding in student.encode(sentences)]
    ours = student.decode([hypothesis.ids for hypothesis in run_in_batches(student, rows, 32)])
    table = Table(title=f"{SLIMT}: {len(sentences)} sentences, beside {student.compute_type} of our engine")
    for heading in (
        "sentences a call",
        "chrF against ours",
        "equal to calls of 1",
        "equal to second time",
        "CPU s",
    ):
        table.add_column(heading, justify="right")
    slimt, alone = Slimt(commands[SLIMT].command), list[str]()
    for size in _SIZES:
        outputs, seconds = slimt.translate(sentences, size)
        again, _ = slimt.translate(sentences, size)
        alone = alone or outputs
        score = sacrebleu.corpus_chrf(outputs, [ours]).score
        equal = (sum(map(str.__eq__, outputs, other)) for other in (alone, again))
        table.add_row(f"{size}", f"{score:.1f}", *(f"{count}" for count in equal), f"{seconds:.2f}")
    slimt.close()
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
