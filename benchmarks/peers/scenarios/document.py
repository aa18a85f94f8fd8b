"""A document of 1 MB in one call beside short ones: does a word cost more in a long text?"""

from __future__ import annotations

import time

from benchmarks.peers.bench import Bench
from benchmarks.peers.figures import Bound, Outcome, Rounds
from benchmarks.peers.texts import SHORT_DOCUMENT, Paragraph, count_words, split_sentences

_TIMES_SHORT = 1.1
# The peers get this share of the document's paragraphs, from all of its length: alone they would take minutes for it.
_SHARE = 10


async def measure_document(bench: Bench) -> Outcome:
    """Ours: the whole document in one call, the short ones in a call each, before and after it."""
    rounds, ours, texts = Rounds(), bench.contestants.ours, bench.texts
    long, short = f"{len(texts.document):,} characters", f"{SHORT_DOCUMENT:,} characters"
    for _ in range(bench.effort.document_rounds):
        pieces = await _time(bench, texts.pieces)
        document = await _time(bench, (texts.document,))
        pieces = (pieces + await _time(bench, texts.pieces)) / 2
        rounds.add(short, ours.name, {"words/s": 1 / pieces, "ms per word": 1_000 * pieces})
        rounds.add(long, ours.name, {"words/s": 1 / document, "ms per word": 1_000 * document})
    parts = [text for text in texts.document.split("\n\n") if text.strip()][::_SHARE]
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
            f"{len(texts.pieces)} short documents, each another part of the long one, a call each. "
            f"The peers got every {_SHARE}th paragraph of it, once.",
        ),
    )


async def _time(bench: Bench, documents: tuple[str, ...]) -> float:
    """Seconds per word."""
    ours = bench.contestants.ours
    await ours.translate(documents[0][: SHORT_DOCUMENT // 10])
    with bench.watch.over(ours):
        started = time.perf_counter()
        for document in documents:
            await ours.translate(document)
        seconds = time.perf_counter() - started
    words = sum(map(count_words, documents))
    bench.tell(f"{len(documents)} of {len(documents[0]):,} characters: {words / seconds:,.0f} words/s")
    return seconds / words
