"""Measures whether a word costs more in a document of 1 MB than in short documents."""

from __future__ import annotations

import time

from benchmarks.peers.bench import Bench
from benchmarks.peers.figures import Bound, Outcome, Rounds
from benchmarks.peers.texts import SHORT_DOCUMENT, Paragraph, count_words, split_sentences

_TIMES_SHORT = 1.1
# The peers translate every n-th paragraph of the document. The whole document would take them minutes.
_PEER_STEP = 10


async def measure_document(bench: Bench) -> Outcome:
    """Measures ours on the whole document in one call, with the short documents, a call each, before and after it."""
    rounds, ours, texts = Rounds(), bench.contestants.ours, bench.texts
    long, short = f"{len(texts.document):,} characters", f"{SHORT_DOCUMENT:,} characters"
    for _ in range(bench.effort.document_rounds):
        pieces = await _time(bench, texts.pieces)
        document = await _time(bench, (texts.document,))
        pieces = (pieces + await _time(bench, texts.pieces)) / 2
        rounds.add(short, ours.name, {"words/s": 1 / pieces, "ms per word": 1_000 * pieces})
        rounds.add(long, ours.name, {"words/s": 1 / document, "ms per word": 1_000 * document})
    parts = [text for text in texts.document.split("\n\n") if text.strip()][::_PEER_STEP]
    sample = [Paragraph(text, split_sentences(text), "") for text in parts]
    for engine in bench.contestants.peers.values():
        pace = await bench.time_all(engine, sample)
        rounds.add(
            long, engine.name, {"words/s": pace.cells["words/s"], "ms per word": 1_000 * pace.seconds / pace.words}
        )
    ratio = rounds.get(long, ours.name, "ms per word") / rounds.get(short, ours.name, "ms per word")
    return Outcome(
        "document",
        "A long document in one call",
        rounds.to_rows(),
        (Bound(f"time per word of {long}, times that of {short}", ratio, _TIMES_SHORT, most=True),),
        (
            f"{len(texts.pieces)} short documents, cut from all parts of the long one, were translated by a call each. "
            f"The peers translated every {_PEER_STEP}th paragraph of the long one, once.",
        ),
    )


async def _time(bench: Bench, documents: tuple[str, ...]) -> float:
    """Returns the seconds per source word."""
    ours = bench.contestants.ours
    await ours.translate(documents[0][: SHORT_DOCUMENT // 10])
    with bench.watch.over(ours):
        started = time.perf_counter()
        for document in documents:
            await ours.translate(document)
        seconds = time.perf_counter() - started
    words = sum(map(count_words, documents))
    bench.log(f"{len(documents)} of {len(documents[0]):,} characters: {words / seconds:,.0f} words/s")
    return seconds / words
