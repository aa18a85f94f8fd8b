"""Measures HYBRID summaries: their rate and latency, and how much they delay translations."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from benchmarks.peers.bench import Bench
from benchmarks.peers.callers import Load, call_concurrently
from benchmarks.peers.figures import Bound, Outcome, Rounds, percentile

_TEXTS = Path(__file__).parents[2] / "quality" / "faithfulness" / "texts"
_CALLERS = (1, 8)
_TIMES_ALONE = 2.0
_SENTENCES = 2
_WORDS = 20


@dataclass
class _Summaries:
    """The summaries of calls that began before `closes`. `seconds`: of each call. `ended`: the end of the last call."""

    closes: float
    seconds: list[float] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    ended: float = 0.0


async def measure_summaries(bench: Bench) -> Outcome:
    """Measures 1 and 8 callers. Beside the 8 callers, one more caller translates."""
    rounds, ours = Rounds(), bench.contestants.ours
    texts = cycle([path.read_text("utf-8") for path in sorted(_TEXTS.glob("*.txt"))])
    bench.log("loading the summarizer")
    await ours.client.summarize(next(texts), sentences=_SENTENCES, mode="hybrid")
    flags = Counter[str]()
    alone = await _translate(bench, bench.effort.summary_seconds / 2)
    for callers in _CALLERS:
        started = time.perf_counter()
        summaries = _Summaries(started + bench.effort.summary_seconds)
        calls = [asyncio.create_task(_summarize(bench, texts, summaries)) for _ in range(callers)]
        if callers > 1:
            beside = await _translate(bench, bench.effort.summary_seconds - 1.0)
        await asyncio.gather(*calls)
        flags += summaries.flags
        cells = {"p50 s": percentile(summaries.seconds, 0.5), "greatest s": max(summaries.seconds)}
        cells["summaries a minute"] = 60 * len(summaries.seconds) / (summaries.ended - started)
        rounds.add(f"{callers} caller{'s' * (callers > 1)}, HYBRID", ours.name, cells)
        bench.log(f"{callers} at once: {cells['summaries a minute']:.1f} summaries a minute")
    again = await _translate(bench, bench.effort.summary_seconds / 2)
    alone = Load(alone.words + again.words, alone.seconds + again.seconds, alone.latencies + again.latencies)
    rounds.add(f"a sentence of {_WORDS} words, alone", ours.name, alone.cells)
    rounds.add(f"a sentence of {_WORDS} words, beside {_CALLERS[-1]}", ours.name, beside.cells)
    ratio = rounds.to_rows()[-1].cells["p99 ms"] / rounds.to_rows()[-2].cells["p99 ms"]
    counts = ", ".join(f"{name} {count}" for name, count in sorted(flags.items())) or "none"
    return Outcome(
        "summaries",
        f"HYBRID summaries of {_SENTENCES} sentences",
        rounds.to_rows(),
        (Bound("translation's p99 beside HYBRID summaries, times alone", ratio, _TIMES_ALONE, most=True),),
        (f"The texts are the thirty of `benchmarks/quality/faithfulness`. Flags of the summaries: {counts}.",),
    )


async def _summarize(bench: Bench, texts: cycle[str], summaries: _Summaries) -> None:
    while (started := time.perf_counter()) < summaries.closes:
        summary = await bench.contestants.ours.client.summarize(next(texts), sentences=_SENTENCES, mode="hybrid")
        summaries.ended = time.perf_counter()
        summaries.seconds.append(summaries.ended - started)
        summaries.flags.update(summary.flags)


async def _translate(bench: Bench, seconds: float) -> Load:
    ours = bench.contestants.ours
    with bench.watch.over(ours):
        load = await call_concurrently(ours.translate, bench.texts.singles[_WORDS], 1, seconds)
    bench.log(f"translation: {load.cells['p50 ms']:.0f} ms p50, {load.cells['p99 ms']:.0f} ms p99")
    return load
