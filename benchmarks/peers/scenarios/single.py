"""Measures one sentence on an idle server: our whole call against the time inside the peers' processes."""

from __future__ import annotations

from benchmarks.peers.bench import Bench, rotate
from benchmarks.peers.engines import Engine
from benchmarks.peers.figures import Bound, Outcome, Rounds, percentile

# The most time, as a share of the best peer's, by the words of a sentence.
_MOST_SHARE = {5: 0.9, 20: 0.4, 60: 0.2}


async def measure_single(bench: Bench) -> Outcome:
    """Measures p50 of each round, and p99 of all rounds together because one round has too few sentences."""
    rounds, all_seconds = Rounds(), dict[tuple[str, str], list[float]]()
    for number in range(bench.effort.single_rounds):
        for words, sentences in bench.texts.singles.items():
            for engine in rotate((*bench.contestants.engines, *bench.contestants.forced), number):
                seconds = await _time_each(bench, engine, sentences)
                rounds.add(_case(words), engine.name, {"p50 ms": 1_000 * percentile(seconds, 0.5)})
                all_seconds.setdefault((_case(words), engine.name), []).extend(seconds)
        bench.log(f"single sentences, round {number + 1} of {bench.effort.single_rounds}")
    for (case, name), seconds in all_seconds.items():
        rounds.add(case, name, {"p99 ms": 1_000 * percentile(seconds, 0.99)})
    ours, peers = bench.contestants.ours, [peer.name for peer in bench.contestants.peers.values()]
    bounds = []
    for words in bench.texts.singles:
        times = {name: rounds.get(_case(words), name, "p50 ms") for name in (ours.name, *peers)}
        best = min((times[peer].median, peer) for peer in peers)[1]
        name = f"one sentence of {words} words with {ours.kernels}, p50 times the best peer's ({best})"
        bounds.append(Bound(name, times[ours.name] / times[best], _MOST_SHARE[words], most=True))
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
