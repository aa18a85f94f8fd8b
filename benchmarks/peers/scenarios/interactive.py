"""Measures concurrent callers with one sentence a call: 64 against our bulk speed, and 1 to 64 against the peers."""

from __future__ import annotations

from benchmarks.peers.bench import Bench, rotate
from benchmarks.peers.callers import Load, call_concurrently
from benchmarks.peers.engines import Engine
from benchmarks.peers.figures import Bound, Outcome, Rounds

_CALLERS = 64
_SHARE_OF_BULK = 0.85


async def measure_callers(bench: Bench) -> Outcome:
    """Measures 64 concurrent callers of ours, as a share of the speed of the same sentences as paragraphs in bulk."""
    rounds, ours = Rounds(), bench.contestants.ours
    for _ in range(bench.effort.rounds):
        before = await bench.time_all(ours, bench.texts.paragraphs)
        load = await _call(bench, ours, _CALLERS, 2 * bench.effort.callers_seconds)
        after = await bench.time_all(ours, bench.texts.paragraphs)
        bulk = (before.words + after.words) / (before.seconds + after.seconds)
        rounds.add("bulk, before and after", ours.name, {"words/s": bulk})
        rounds.add(f"{_CALLERS} callers", ours.name, {**load.cells, "share of bulk": load.cells["words/s"] / bulk})
    share = rounds.get(f"{_CALLERS} callers", ours.name, "share of bulk")
    return Outcome(
        "callers",
        f"{_CALLERS} concurrent callers, a sentence a call, over one channel",
        rounds.to_rows(),
        (Bound(f"{_CALLERS} callers, share of our bulk", share, _SHARE_OF_BULK, most=False),),
        ("The sentences are those of the paragraphs that bulk translates.",),
    )


async def measure_clients(bench: Bench) -> Outcome:
    """Measures throughput and latency of every engine for growing numbers of concurrent callers."""
    rounds = Rounds()
    for number in range(bench.effort.callers_rounds):
        for callers in bench.effort.callers:
            for engine in rotate(bench.contestants.engines, number):
                load = await _call(bench, engine, callers, bench.effort.callers_seconds)
                rounds.add(f"{callers} caller{'s' * (callers > 1)}", engine.name, load.cells)
    return Outcome(
        "clients",
        "Concurrent callers, a sentence a call",
        rounds.to_rows(),
        notes=(
            "Ours is called through gRPC by one client over one channel. The peers are processes of this machine "
            "behind a queue, without a network between. Each caller calls again as soon as it has its answer.",
        ),
    )


async def _call(bench: Bench, engine: Engine, callers: int, seconds: float) -> Load:
    with bench.watch.over(engine):
        load = await call_concurrently(engine.translate, bench.texts.sentences, callers, seconds)
    figures = ", ".join(f"{value:,.0f} {name}" for name, value in load.cells.items())
    bench.log(f"{engine.name}, {callers} at once: {figures}")
    return load
