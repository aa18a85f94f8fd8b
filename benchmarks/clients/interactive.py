"""Measures a batch and another caller side by side: the time of the caller's sentence, and the loss of the batch."""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clients.programs import measure_batch
from latimer import Client

# Calls a second of the other caller, in the round in which it waits between its calls.
_CALLS_PER_SECOND = 12
_ROUNDS = 3
_LINES = 3_000
_IDLE_CALLS = 100
# What issue 20 asks for.
_MOST_TIMES_IDLE = 2.0
# What the batch keeps of its rate beside the caller that waits between its calls.
_LEAST_BATCH_SHARE = 0.85


@dataclass
class _Caller:
    """A caller that translates one sentence at a time.

    `pause`: the seconds from the start of a call to that of the next one, if the call does not take longer. `seconds`:
    the times of its calls.
    """

    address: str
    sentences: Sequence[str]
    pause: float
    seconds: list[float] = field(default_factory=list)

    def run(self, label: str, ended: threading.Event, most: int | None = None) -> None:
        """Makes calls until `ended` is set or there are `most`. `label` makes the texts new to the server."""
        with Client(self.address) as client:
            client.translate(f"{label}, it begins.", source="en", target="pt")  # connects
            for number, text in enumerate(self.sentences):
                if ended.is_set() or number == most:
                    return
                began = time.perf_counter()
                client.translate(f"{label} {text}", source="en", target="pt")
                self.seconds.append(time.perf_counter() - began)
                ended.wait(max(0.0, began + self.pause - time.perf_counter()))


@contextmanager
def _beside(caller: _Caller, label: str) -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=caller.run, args=(label, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure_interactive(folder: Path, address: str, sentences: list[str]) -> bool:
    """Prints the median time of another caller's sentence, idle and beside a batch, and the rates of the batch.

    The batch runs alone and beside the caller, in turns. One caller pauses between its calls, another does not. Returns
    True if the bounds hold.
    """
    alone: list[float] = []
    good = True
    # Numbers make sentences new to the server. A word would be part of every sentence that is measured.
    labels = itertools.count(1)
    for name, pause in ("paced", 1 / _CALLS_PER_SECOND), ("busy", 0.0):
        idle, busy = (_Caller(address, sentences, pause) for _ in range(2))
        shares, calls = [], []
        for _ in range(_ROUNDS):
            idle.run(f"On day {next(labels)},", threading.Event(), _IDLE_CALLS // _ROUNDS)
            alone.append(_measure_rate(folder, address, sentences, next(labels)))
            before, began = len(busy.seconds), time.perf_counter()
            with _beside(busy, f"On day {next(labels)},"):
                rate = _measure_rate(folder, address, sentences, next(labels))
            calls.append((len(busy.seconds) - before) / (time.perf_counter() - began))
            shares.append(rate / alone[-1])
        quiet, loud = statistics.median(idle.seconds), statistics.median(busy.seconds)
        times, share = loud / quiet, statistics.median(shares)
        is_bound = name == "paced"
        print(
            f"interactive  {name}: p50 {1e3 * quiet:.1f} ms idle, {1e3 * loud:.1f} ms beside a batch"
            f" ({statistics.median(calls):.1f} calls a second): {times:.2f} times (bound {_MOST_TIMES_IDLE})"
        )
        print(
            f"             the batch {statistics.median(alone):,.0f} lines a second alone, {share:.2f} of that beside"
            f" it ({', '.join(f'{one:.2f}' for one in shares)})"
            + (f" (bound {_LEAST_BATCH_SHARE})" if is_bound else "")
        )
        good = good and times <= _MOST_TIMES_IDLE and (share >= _LEAST_BATCH_SHARE or not is_bound)
    return good


def _measure_rate(folder: Path, address: str, sentences: Sequence[str], label: int) -> float:
    """Returns lines a second of a batch of sentences that the server has not seen, without the start of its process."""
    source, report = folder / "bulk.txt", folder / "bulk.json"
    source.write_text("\n".join(f"{text} ({label})" for text in sentences[:_LINES]))
    measure_batch(source, folder / "bulk.pt.txt", address, "--report", str(report))
    described = json.loads(report.read_text())
    return float(described["sent_units"] / described["seconds"])
