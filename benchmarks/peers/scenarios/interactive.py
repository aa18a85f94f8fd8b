"""Measures concurrent callers with one sentence a call: what a caller of ours and of each peer sees."""

from __future__ import annotations

from benchmarks.peers.bench import Bench, rotate
from benchmarks.peers.callers import Load, call_concurrently
from benchmarks.peers.engines import Engine
from benchmarks.peers.figures import Bound, Outcome, Rounds, choose_best

# The bounds hold for the greatest number of callers that is measured.
_TIMES_CALLS = 3.0
_MOST_SHARE_OF_P99 = 0.5


async def measure_clients(bench: Bench) -> Outcome:
    """Measures the calls a second and the latency of every engine for growing numbers of concurrent callers."""
    rounds = Rounds()
    for number in range(bench.effort.callers_rounds):
        for callers in bench.effort.callers:
            for engine in rotate(bench.contestants.engines, number):
                load = await _call(bench, engine, callers)
                rounds.add(_case(callers), engine.name, load.cells)
    return Outcome(
        "clients",
        "Concurrent callers, a sentence a call",
        rounds.to_rows(),
        _compare(bench, rounds, bench.effort.callers[-1]),
        (
            "Ours is called through gRPC by one client over one channel. The peers are processes of this machine "
            "behind a queue, without a network between. Each caller calls again as soon as it has its answer.",
            "The sentences are those of the paragraphs that bulk translates.",
        ),
    )


def _compare(bench: Bench, rounds: Rounds, callers: int) -> tuple[Bound, ...]:
    """Compares ours with the peer that answers the most calls a second."""
    case, ours = _case(callers), bench.contestants.ours.name
    peers = [peer.name for peer in bench.contestants.peers.values()]
    best = choose_best(peers, lambda name: rounds.get(case, name, "calls/s"))
    calls, late = (rounds.get(case, ours, column) / rounds.get(case, best, column) for column in ("calls/s", "p99 ms"))
    return (
        Bound(f"{case}, calls a second, times the best peer's ({best})", calls, _TIMES_CALLS, most=False),
        Bound(f"{case}, p99, times the best peer's ({best})", late, _MOST_SHARE_OF_P99, most=True),
    )


def _case(callers: int) -> str:
    return f"{callers} caller{'s' * (callers > 1)}"


async def _call(bench: Bench, engine: Engine, callers: int) -> Load:
    with bench.watch.over(engine):
        seconds = bench.effort.callers_seconds
        load = await call_concurrently(engine.translate, bench.texts.sentences, callers, seconds)
    figures = ", ".join(f"{value:,.0f} {name}" for name, value in load.cells.items())
    bench.log(f"{engine.name}, {callers} at once: {figures}")
    return load
