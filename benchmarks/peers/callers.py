"""Simulates concurrent callers, each with one sentence at a time, for a given number of seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

from benchmarks.peers.figures import percentile
from benchmarks.peers.texts import count_words

# The queue must be full before measuring starts. A slow engine needs a second for its first answers to 64 callers.
_WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Load:
    """The calls that ended within the measured time. `latencies`: seconds of each call."""

    words: int
    seconds: float
    latencies: tuple[float, ...]

    @property
    def cells(self) -> dict[str, float]:
        """The columns of a table."""
        return {
            "calls/s": len(self.latencies) / self.seconds,
            "words/s": self.words / self.seconds,
            "p50 ms": 1_000 * percentile(self.latencies, 0.50),
            "p99 ms": 1_000 * percentile(self.latencies, 0.99),
        }


class _Window:
    """Collects the calls that end within a period. It stays open until at least one call has ended."""

    def __init__(self, seconds: float) -> None:
        self._opens = time.perf_counter() + _WARM_SECONDS
        self._closes = self._opens + seconds
        self._words = 0
        self._latencies: list[float] = []

    @property
    def is_open(self) -> bool:
        """True until the period has ended and at least one call is counted, so also before the period starts."""
        return not self._latencies or time.perf_counter() < self._closes

    def add(self, sentence: str, started: float) -> None:
        """Counts a call that has just ended."""
        now = time.perf_counter()
        if now >= self._opens and self.is_open:
            self._words += count_words(sentence)
            self._latencies.append(now - started)
            self._closes = max(self._closes, now)

    @property
    def load(self) -> Load:
        """The counted calls."""
        return Load(self._words, self._closes - self._opens, tuple(self._latencies))


async def call_concurrently(
    translate: Callable[[str], Awaitable[object]], sentences: tuple[str, ...], callers: int, seconds: float
) -> Load:
    """Runs `callers` callers; each calls again as soon as it has its answer."""
    window, following = _Window(seconds), cycle(sentences)
    await asyncio.gather(*(_call(translate, following, window) for _ in range(callers)))
    return window.load


async def _call(translate: Callable[[str], Awaitable[object]], following: Iterator[str], window: _Window) -> None:
    while window.is_open:
        sentence, started = next(following), time.perf_counter()
        await translate(sentence)
        window.add(sentence, started)
