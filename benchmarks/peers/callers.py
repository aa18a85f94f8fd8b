"""Concurrent callers, each with one sentence at a time, for a while. Knows only what they call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

from benchmarks.peers.figures import percentile
from benchmarks.peers.texts import count_words

# Until as many are waiting as ever will be; a slow engine needs a second for its first answers to 64 callers.
_WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Load:
    """What came back within the time. `latencies`: seconds of each call."""

    words: int
    seconds: float
    latencies: tuple[float, ...]

    @property
    def cells(self) -> dict[str, float]:
        """As a table shows them."""
        return {
            "words/s": self.words / self.seconds,
            "p50 ms": 1_000 * percentile(self.latencies, 0.50),
            "p99 ms": 1_000 * percentile(self.latencies, 0.99),
        }


class _Window:
    """Collects the calls that end within it."""

    def __init__(self, seconds: float) -> None:
        self.opens = time.perf_counter() + _WARM_SECONDS
        self.closes = self.opens + seconds
        self.words = 0
        self.latencies: list[float] = []

    @property
    def is_open(self) -> bool:
        """Or still to open."""
        return time.perf_counter() < self.closes

    def add(self, sentence: str, started: float) -> None:
        """A call that has just ended."""
        now = time.perf_counter()
        if self.opens <= now < self.closes:
            self.words += count_words(sentence)
            self.latencies.append(now - started)


async def call_concurrently(
    translate: Callable[[str], Awaitable[object]], sentences: tuple[str, ...], callers: int, seconds: float
) -> Load:
    """`callers` of them, each calling again as soon as it has its answer."""
    window, following = _Window(seconds), cycle(sentences)
    await asyncio.gather(*(_call(translate, following, window) for _ in range(callers)))
    return Load(window.words, seconds, tuple(window.latencies))


async def _call(translate: Callable[[str], Awaitable[object]], following: Iterator[str], window: _Window) -> None:
    while window.is_open:
        sentence, started = next(following), time.perf_counter()
        await translate(sentence)
        window.add(sentence, started)
