"""Measures how much HYBRID summaries delay translations, and the latency and rate of the summaries.

One caller translates sentences one after another: alone, beside one caller of summaries, alone again, and beside eight.
The levels take turns, so that noise of the machine affects all of them. Prints ratios. Exits with 1 if the delay
exceeds the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.corpus import read_chapters, sample_sentences
from benchmarks.service.load import Callers, quantile, run_server
from latimer import AsyncClient

# Numbers of callers of summaries, in the order of a round. The zeros are the baseline of the level after them.
LEVELS = (0, 1, 0, 8)
# Bound on the p99 of translations beside summaries, divided by their p99 alone.
MOST_RATIO = 2.0
SUMMARY_SENTENCES = 3
SUMMARY_TIMEOUT = 600.0
_ARTICLE_PARAGRAPHS = 12


@dataclass
class Level:
    """Seconds of each translation and each summary at one level, and the length of the level."""

    translations: list[float] = field(default_factory=list)
    summaries: list[float] = field(default_factory=list)
    seconds: float = 0.0


async def run_level(callers: Callers, client: AsyncClient, articles: Sequence[str], count: int, level: Level) -> None:
    """Translates for `level.seconds`, and until every caller of summaries has got at least one."""
    ended = asyncio.Event()

    async def summarize(number: int) -> None:
        while True:
            began = time.perf_counter()
            text = articles[(number + len(level.summaries)) % len(articles)]
            await client.summarize(text, sentences=SUMMARY_SENTENCES, mode="hybrid", source="en")
            level.summaries.append(time.perf_counter() - began)
            if ended.is_set():
                return

    began = time.perf_counter()
    tasks = [asyncio.create_task(summarize(number)) for number in range(count)]
    load = await callers.keep_calling(1, level.seconds)
    ended.set()
    await asyncio.gather(*tasks)
    level.translations += [answer.seconds for answer in load.answers]
    level.seconds = time.perf_counter() - began


async def measure(address: str, rounds: int, seconds: float) -> dict[int, Level]:
    """Measures all levels; the keys are their numbers of callers of summaries."""
    articles = ["\n\n".join(chapter.paragraphs[:_ARTICLE_PARAGRAPHS]) for chapter in read_chapters("en-US")]
    found = {count: Level() for count in LEVELS}
    async with (
        Callers(address, sample_sentences("en-US", 200)) as callers,
        AsyncClient(address, timeout=SUMMARY_TIMEOUT) as client,
    ):
        with Progress(transient=True) as progress:
            task = progress.add_task("loading the summarizer ...", total=rounds * len(LEVELS))
            await client.summarize(articles[0], sentences=1, mode="hybrid", source="en")
            await callers.keep_calling(1, 2.0)
            for _ in range(rounds):
                for count in LEVELS:
                    progress.update(task, description=f"beside {count} callers of summaries ...")
                    level = Level(seconds=seconds)
                    await run_level(callers, client, articles, count, level)
                    found[count].translations += level.translations
                    found[count].summaries += level.summaries
                    found[count].seconds += level.seconds
                    progress.advance(task)
    return found


def main() -> int:
    """Prints a table. Returns 1 if the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of one level in one round")
    arguments = parser.parse_args()
    with run_server("--segment-cache-mb", "0") as server:
        found = asyncio.run(measure(server.address, arguments.rounds, arguments.seconds))
    alone = found[0]
    table = Table(
        *("callers of summaries", "translations", "p50 ms", "p99 ms", "p50, times alone", "p99, times alone"),
        *("summaries", "p50 s", "a minute"),
        box=None,
    )
    worst = 0.0
    for count, level in found.items():
        middle, high = (quantile(level.translations, part) for part in (0.5, 0.99))
        ratios = middle / quantile(alone.translations, 0.5), high / quantile(alone.translations, 0.99)
        worst = max(worst, ratios[1])
        summaries = (
            str(len(level.summaries)),
            f"{quantile(level.summaries, 0.5):.1f}",
            f"{60 * len(level.summaries) / level.seconds:.1f}",
        )
        table.add_row(
            *(str(count), str(len(level.translations)), f"{1_000 * middle:.0f}", f"{1_000 * high:.0f}"),
            *(f"{ratio:.2f}" for ratio in ratios),
            *(summaries if count else ("", "", "")),
        )
    console = Console()
    console.print(table)
    console.print(f"p99 beside summaries: {worst:.2f} times p99 alone (at most {MOST_RATIO:g})")
    return 0 if worst <= MOST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
