"""Compares a stream with one call of the same sentences, on the real model: throughput and time to the first result.

    python -m benchmarks.service.streaming [rounds]

The sentences come from the Debian Administrator's Handbook. The server is a separate process, called over a real
channel. Call and streams take turns; a ratio is of the medians of one run.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from clients.python.examples.demo import run_server, wait_until_healthy
from latimer import Client

SENTENCES = 1_000
ROUNDS = 5
# Seconds to the first and to the last result, and the translations.
Timed = tuple[float, float, list[str]]


def time_call(client: Client, sentences: list[str]) -> Timed:
    """Translates all sentences by one call of TranslateText."""
    began = time.perf_counter()
    texts = [translation.text for translation in client.translate(sentences, source="en", target="pt")]
    seconds = time.perf_counter() - began
    return seconds, seconds, texts


def time_stream(client: Client, sentences: list[str], *, ordered: bool) -> Timed:
    """Translates all sentences as a stream of items."""
    began = time.perf_counter()
    first = 0.0
    texts = [""] * len(sentences)
    for result in client.translate_many(iter(sentences), source="en", target="pt", ordered=ordered):
        first = first or time.perf_counter() - began
        texts[result.index] = result.text
    return first, time.perf_counter() - began, texts


def run_rounds(client: Client, sentences: list[str], rounds: int) -> Iterator[tuple[str, list[Timed]]]:
    """Measures each way once per round, in turns. The first round warms up and is not counted."""
    ways: dict[str, Callable[[], Timed]] = {
        "one call": lambda: time_call(client, sentences),
        "stream, ordered": lambda: time_stream(client, sentences, ordered=True),
        "stream, as ready": lambda: time_stream(client, sentences, ordered=False),
    }
    timed: dict[str, list[Timed]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            timed[name].append(way())
    yield from ((name, each[1:]) for name, each in timed.items())


def main() -> int:
    """Prints a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    sentences = sample_sentences("en-US", SENTENCES)
    words = sum(len(sentence.split()) for sentence in sentences)
    with run_server() as address, Client(address, timeout=600) as client:
        wait_until_healthy(client)
        timed = dict(run_rounds(client, sentences, rounds))
    (called, texts) = statistics.median(each[1] for each in timed["one call"]), timed["one call"][0][2]
    title = f"{len(sentences)} sentences, {words} words, {rounds} rounds"
    table = Table("", "words/s", "of one call", "first result, s", "last, s (least, most)", "texts alike", title=title)
    for name, each in timed.items():
        firsts, lasts = [timed_way[0] for timed_way in each], [timed_way[1] for timed_way in each]
        median = statistics.median(lasts)
        alike = sum(a == b for a, b in zip(texts, each[-1][2], strict=True))
        table.add_row(
            name,
            f"{words / median:,.0f}",
            f"{called / median:.2f}",
            f"{statistics.median(firsts):.2f}",
            f"{median:.2f} ({min(lasts):.2f}, {max(lasts):.2f})",
            f"{alike}",
        )
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
