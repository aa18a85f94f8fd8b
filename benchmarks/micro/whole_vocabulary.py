"""Compares the whole vocabulary with the shortlist: `python -m benchmarks.micro.whole_vocabulary`.

Translates sentences in batches of 32 with both, in turns, by the kernels that `LATIMER_ENGINE` names, or by the best of
this machine. Prints the CPU seconds and the share of the shortlist's speed that the whole vocabulary reaches (medians).
The exit status is 1 if the share is below 0.6.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from rich.console import Console

from benchmarks.corpus import sample_sentences
from benchmarks.students import NAMES, load_embedded_student, run_in_batches
from latimer_server.core.decoding import DecodingOptions

_ROWS = 32
_LEAST = 0.6


def main() -> None:
    """Prints the seconds and the share."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro.whole_vocabulary", description=__doc__)
    parser.add_argument("--sentences", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    student = load_embedded_student(NAMES["en", "pt"], 1)
    texts = sorted(sample_sentences("en-US", arguments.sentences), key=len)
    rows = [encoding.ids for encoding in student.encode(texts)]
    seconds: list[list[float]] = []
    for _ in range(arguments.rounds):
        seconds.append([])
        for whole in (False, True):
            started = time.process_time()
            run_in_batches(student, rows, _ROWS, DecodingOptions(whole_vocabulary=whole))
            seconds[-1].append(time.process_time() - started)
    listed, whole_seconds = (statistics.median(column) for column in zip(*seconds, strict=True))
    share = statistics.median(listed / other for listed, other in seconds)
    console = Console()
    console.print(f"{student.compute_type}, {len(rows)} sentences in batches of {_ROWS}, CPU seconds of one core")
    console.print(f"shortlist {listed:.3f}, whole vocabulary {whole_seconds:.3f}")
    console.print(f"the whole vocabulary reaches {share:.2f} of the shortlist's speed (at least {_LEAST})")
    sys.exit(share < _LEAST)


if __name__ == "__main__":
    main()
