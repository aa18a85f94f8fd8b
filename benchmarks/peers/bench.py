"""The input of every scenario: the engines, the texts, the number of measurements and a progress callback."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.contestants import Contestants
from benchmarks.peers.engines import Engine
from benchmarks.peers.texts import Paragraph, Texts, count_words
from benchmarks.peers.usage import read_cpu_seconds
from benchmarks.peers.watch import Watch


@dataclass(frozen=True)
class Effort:
    """The size of a run. Seconds are those of one measurement. `callers`: numbers of concurrent callers to measure."""

    paragraphs: int
    characters: int
    rounds: int
    callers: tuple[int, ...]
    callers_rounds: int
    callers_seconds: float
    single_rounds: int
    document_rounds: int
    starts: int
    summary_seconds: float


FULL = Effort(400, 1_000_000, 3, (1, 2, 4, 8, 16, 32, 64), 2, 3.0, 12, 2, 3, 20.0)
QUICK = Effort(60, 100_000, 2, (1, 8, 64), 1, 2.0, 3, 1, 1, 6.0)


@dataclass(frozen=True)
class Pace:
    """The cost of translating `words` source words once."""

    words: int
    seconds: float
    cpu_seconds: float
    outputs: Sequence[str]

    @property
    def cells(self) -> dict[str, float]:
        """The columns of a table. Words per CPU second estimate the speed of an engine on a quiet machine."""
        return {"words/s": self.words / self.seconds, "words per CPU second": self.words / max(self.cpu_seconds, 1e-9)}


@dataclass
class Bench:
    """One run. `outputs`: the translations of the paragraphs by engine name, shared between scenarios."""

    contestants: Contestants
    texts: Texts
    effort: Effort
    watch: Watch
    log: Callable[[str], None]
    outputs: dict[str, list[str]] = field(default_factory=dict)

    async def time_all(self, engine: Engine, paragraphs: Sequence[Paragraph]) -> Pace:
        """Measures how fast an engine translates the paragraphs. Two uncounted paragraphs first bring the engine's data
        back into the processor's caches."""
        await engine.translate_all(paragraphs[:2])
        with self.watch.over(engine):
            cpu, started = read_cpu_seconds(engine.process_ids), time.perf_counter()
            outputs = await engine.translate_all(paragraphs)
            seconds = time.perf_counter() - started
            cpu = read_cpu_seconds(engine.process_ids) - cpu
        words = sum(count_words(paragraph.text) for paragraph in paragraphs)
        self.log(f"{engine.name}: {words / seconds:,.0f} words/s")
        return Pace(words, seconds, cpu, outputs)


def rotate(engines: Sequence[Engine], number: int) -> list[Engine]:
    """Returns the engines in an order that starts with a different engine in each round."""
    start = number % len(engines)
    return [*engines[start:], *engines[:start]]
