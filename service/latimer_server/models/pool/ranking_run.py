"""Ranking run: ranks the sentences of one text in a compute thread, and reports it to the telemetry as a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latimer_server.backends.protocol import Ranking
from latimer_server.core.telemetry import BatchReport, Telemetry, TracedPiece, current_trace
from latimer_server.models.pool.loaded_model import LoadedRanker
from latimer_server.scheduling import ComputeSlot, Priority


@dataclass(frozen=True)
class TimedRanking:
    """A ranking, and when it was queued, when it started and when it ended (monotonic seconds)."""

    ranking: Ranking
    queued: float
    started: float
    ended: float


class RankingRun:
    """Ranks texts in the threads of `slot`. `telemetry` gets a report of each ranking. `clock` returns seconds."""

    def __init__(self, slot: ComputeSlot, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic) -> None:
        self._slot = slot
        self._telemetry = telemetry
        self._clock = clock

    async def rank(self, model: LoadedRanker, sentences: Sequence[str], priority: Priority) -> TimedRanking:
        """Ranks the sentences of a text with a model, which the caller holds."""
        clock, trace = self._clock, current_trace.get()
        queued = taken = started = ended = clock()

        def prepare() -> Callable[[], Ranking]:
            nonlocal taken
            taken = clock()
            return compute

        def compute() -> Ranking:
            nonlocal started, ended
            started = clock()
            ranking = model.backend.rank(sentences, lambda: False)
            ended = clock()
            return ranking

        ranking = await self._slot.run(prepare, lambda: priority)
        assert ranking is not None  # noqa: S101 (`prepare` always returns work)
        traced = () if trace is None else (TracedPiece(trace, queued),)
        self._telemetry.note_batch(
            BatchReport(model.entry.name, (taken - queued,), taken, clock(), started, ended, 0, 0, traced)
        )
        return TimedRanking(ranking, queued, taken, ended)
