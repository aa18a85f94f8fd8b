"""Measures the memory, descriptors and threads of a server over an hour of mixed load.

Callers of every method, with plain text and markup, streams that are left, calls that are cancelled or late, and
requests that are invalid, pause between their calls so that the server is busy but not overloaded. Prints a row for
each minute shown, then the growth of the resident memory in the last two thirds of the time as the slope of a line of
least squares. Exits with 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import linear_regression

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.service.load import Server, run_server
from latimer import Client, GlossaryTerm, LatimerError

CALLERS = 8
MOST_PAUSE = 0.15
# The growth of the resident memory that is accepted, in MB an hour.
MOST_GROWTH = 2.0
# The share of the time after which growth counts: caches and arenas are filled by then.
_SETTLED = 1 / 3
_SAMPLE_SECONDS = 10.0
_CALLS_PER_CONNECTION = 200
ENGLISH = "The bridge over the river is closed until Monday. He paid 1,234.50 euros for 3 cats at https://a.org/b. "
PORTUGUESE = "A ponte sobre o rio está fechada até segunda-feira. O senhor Silva tem três gatos. "


@dataclass(frozen=True)
class Sample:
    """The state of the server at a time (seconds from the start): resident bytes, threads, open descriptors, calls."""

    seconds: float
    resident_bytes: int
    threads: int
    descriptors: int
    calls: int


class _Caller:
    """One caller. Each call is of a random kind; its texts are new, so that the cache does not answer."""

    def __init__(self, address: str, seed: int) -> None:
        self._random = random.Random(seed)
        self._address = address
        self._kinds: list[Callable[[Client], object]] = [
            self._translate_plain,
            self._translate_plain,
            self._translate_detected,
            self._translate_beam,
            self._translate_html,
            self._translate_markdown,
            self._stream,
            self._leave_stream,
            self._extract,
            self._detect,
            lambda _: self._be_late(),
            self._be_invalid,
            lambda client: client.models(),
            lambda client: client.health(),
        ]

    def run(self, stop: threading.Event, outcomes: Counter[str], lock: threading.Lock) -> None:
        """Calls until `stop` is set, on a new connection from time to time, and counts the outcomes."""
        while not stop.is_set():
            with Client(self._address, timeout=60) as client:
                for _ in range(_CALLS_PER_CONNECTION):
                    if stop.wait(self._random.random() * MOST_PAUSE):
                        return
                    outcome = self._call(client)
                    with lock:
                        outcomes[outcome] += 1

    def _call(self, client: Client) -> str:
        kind = self._summarize if self._random.random() < 0.01 else self._random.choice(self._kinds)
        try:
            kind(client)
        except LatimerError as error:
            return type(error).__name__
        return "answered"

    def _text(self, text: str) -> str:
        return f"Item {self._random.random()}. " + text * self._random.choice((1, 1, 2, 8, 40))

    def _translate_plain(self, client: Client) -> object:
        return client.translate(self._text(ENGLISH), source="en", target="pt")

    def _translate_detected(self, client: Client) -> object:
        return client.translate(self._text(PORTUGUESE), target="en", include_segments=True, include_alignment=True)

    def _translate_beam(self, client: Client) -> object:
        text = self._text(ENGLISH)[:500]
        return client.translate(
            text, source="en", target="pt", beam_size=self._random.choice((2, 4)), alternative_count=1
        )

    def _translate_html(self, client: Client) -> object:
        text = f"<p>{self._text('')}<b>Good</b> <i>morning</i></p><ul><li>{self._text(ENGLISH)}</li></ul>"
        return client.translate(text, source="en", target="pt", text_format="html")

    def _translate_markdown(self, client: Client) -> object:
        text = f"# {self._text('')}\n\n* **a** {ENGLISH}\n\n|a|b|\n|-|-|\n|{self._text(ENGLISH)}|x|\n"
        glossary: list[GlossaryTerm] = [{"source_text": f"cats{self._random.random()}", "target_text": "gatos"}]
        patterns = [f"x{self._random.random()}+"]
        return client.translate(
            text, source="en", target="pt", text_format="markdown", glossary_terms=glossary, patterns=patterns
        )

    def _stream(self, client: Client) -> object:
        texts = (self._text(ENGLISH) for _ in range(self._random.choice((1, 8, 40))))
        return list(client.translate_many(texts, source="en", target="pt", ordered=self._random.random() < 0.5))

    def _leave_stream(self, client: Client) -> object:
        texts = (self._text(ENGLISH) for _ in range(40))
        with closing(client.translate_many(texts, source="en", target="pt")) as results:
            return list(islice(results, 3))

    def _extract(self, client: Client) -> object:
        target = self._random.choice((None, "pt"))
        return client.summarize(self._text(ENGLISH), mode="extractive", sentences=2, target=target)

    def _summarize(self, client: Client) -> object:
        return client.summarize(f"Item {self._random.random()}. " + 2 * ENGLISH, mode="hybrid", sentences=1)

    def _detect(self, client: Client) -> object:
        return client.detect([self._text(self._random.choice((ENGLISH, PORTUGUESE, "日本語。"))) for _ in range(4)])

    def _be_late(self) -> object:
        with Client(self._address, timeout=self._random.choice((0.001, 0.02, 0.1))) as hasty:
            return hasty.translate(self._text(ENGLISH), source="en", target="pt")

    def _be_invalid(self, client: Client) -> object:
        return client.translate(self._text(ENGLISH), source="en", target="xx")


def measure(server: Server, seconds: float, report: Callable[[Sample], None]) -> tuple[list[Sample], Counter[str]]:
    """Puts mixed load on a server, and returns its samples and the number of calls by outcome."""
    stop, lock, outcomes = threading.Event(), threading.Lock(), Counter[str]()
    callers = [_Caller(server.address, seed) for seed in range(CALLERS)]
    threads = [threading.Thread(target=caller.run, args=(stop, outcomes, lock)) for caller in callers]
    for thread in threads:
        thread.start()
    samples: list[Sample] = []
    began = time.monotonic()
    try:
        while (now := time.monotonic() - began) < seconds:
            time.sleep(min(_SAMPLE_SECONDS, seconds - now))
            with lock:
                calls = outcomes.total()
            folder = Path(f"/proc/{server.process_id}")
            samples.append(
                Sample(
                    time.monotonic() - began,
                    server.read_resident_bytes(),
                    len(list((folder / "task").iterdir())),
                    len(list((folder / "fd").iterdir())),
                    calls,
                )
            )
            report(samples[-1])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return samples, outcomes


def estimate_growth(samples: list[Sample]) -> float:
    """Returns the growth of the resident memory in MB an hour over the last two thirds of the time."""
    settled = [sample for sample in samples if sample.seconds >= samples[-1].seconds * _SETTLED]
    slope, _ = linear_regression([s.seconds for s in settled], [s.resident_bytes / 1e6 for s in settled])
    return slope * 3_600


def main() -> None:
    """Measures, prints the table, and exits with 1 if the memory, threads or descriptors grow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    minutes = parser.parse_args().minutes
    console = Console()
    with run_server() as server, Progress(transient=True) as progress:
        task = progress.add_task("mixed load ...", total=60 * minutes)
        samples, outcomes = measure(
            server, 60 * minutes, lambda sample: progress.update(task, completed=sample.seconds)
        )
    table = Table("minute", "resident MB", "threads", "descriptors", "calls", title="Mixed load")
    for sample in [*samples[:: max(1, len(samples) // 15)], samples[-1]]:
        table.add_row(
            f"{sample.seconds / 60:.0f}",
            f"{sample.resident_bytes / 1e6:.1f}",
            str(sample.threads),
            str(sample.descriptors),
            f"{sample.calls:,}",
        )
    console.print(table)
    console.print(", ".join(f"{name}: {count:,}" for name, count in outcomes.most_common()))
    growth = estimate_growth(samples)
    settled = [sample for sample in samples if sample.seconds >= samples[-1].seconds * _SETTLED]
    half = len(settled) // 2
    gained = [
        name
        for name in ("threads", "descriptors")
        if min(getattr(s, name) for s in settled[half:]) > max(getattr(s, name) for s in settled[:half])
    ]
    console.print(
        f"growth of the memory: {growth:+.1f} MB an hour (at most {MOST_GROWTH:g}); gained: {gained or 'none'}"
    )
    if growth > MOST_GROWTH or gained:
        sys.exit(1)


if __name__ == "__main__":
    main()
