"""Measures one sentence on an idle server: our whole call against the time inside the peers' processes."""

from __future__ import annotations

from benchmarks.peers.bench import Bench, rotate
from benchmarks.peers.contestants import FXTRANSLATE
from benchmarks.peers.engines import Engine
from benchmarks.peers.figures import Bound, Outcome, Rounds, Spread, percentile

_TIMES_PEER = 1.1


async def measure_single(bench: Bench) -> Outcome:
    """Measures p50 of each round, and p99 of all rounds together because one round has too few sentences."""
    rounds, all_seconds = Rounds(), dict[tuple[str, str], list[float]]()
    for number in range(bench.effort.single_rounds):
        for words, sentences in bench.texts.singles.items():
            for engine in rotate(bench.contestants.engines, number):
                seconds = await _time_each(bench, engine, sentences)
                rounds.add(_case(words), engine.name, {"p50 ms": 1_000 * percentile(seconds, 0.5)})
                all_seconds.setdefault((_case(words), engine.name), []).extend(seconds)
        bench.log(f"single sentences, round {number + 1} of {bench.effort.single_rounds}")
    for (case, name), seconds in all_seconds.items():
        rounds.add(case, name, {"p99 ms": 1_000 * percentile(seconds, 0.99)})
    ours, peer = bench.contestants.ours.name, bench.contestants.peers[FXTRANSLATE].name
    bounds = []
    for words in bench.texts.singles:
        ratio: Spread = rounds.get(_case(words), ours, "p50 ms") / rounds.get(_case(words), peer, "p50 ms")
        bounds.append(Bound(f"one sentence of {words} words, p50 times {FXTRANSLATE}'s", ratio, _TIMES_PEER, most=True))
    return Outcome(
        "single",
        "One sentence, idle server",
        rounds.to_rows(),
        tuple(bounds),
        (
            "Ours is timed by the caller around the gRPC call; a peer is timed inside its process, without the pipe.",
            f"{len(next(iter(bench.texts.singles.values())))} sentences of each length, {bench.effort.single_rounds} "
            "rounds. Few sentences have 60 words, so sentences of 56 to 64 words are used.",
        ),
    )


async def _time_each(bench: Bench, engine: Engine, sentences: tuple[str, ...]) -> list[float]:
    """Times the sentences one after another. An uncounted sentence first brings the engine's data back into the
    processor's caches."""
    await engine.time_single(sentences[-1])
    with bench.watch.over(engine):
        return [await engine.time_single(sentence) for sentence in sentences]


def _case(words: int) -> str:
    return f"{words} words"
