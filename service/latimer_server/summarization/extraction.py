"""Ranks the sentences of a reading and takes the best, word for word.

Knows the pool and the ranker's Protocol; nothing of requests or of what is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.models.pool.pool import ModelPool
from latimer_server.scheduling import run_off_loop
from latimer_server.summarization.composition import (
    LengthLimit,
    SelectedSentence,
    Selection,
    SummarySource,
    choose_candidates,
    take_within,
)
from latimer_server.summarization.evidence.context import find_back_references, list_introductions


@dataclass(frozen=True)
class RankedSentences:
    """The indices of a reading's candidates, best first, and every sentence's score (0 for no candidate)."""

    order: tuple[int, ...]
    scores: tuple[float, ...]


async def rank_sentences(pool: ModelPool, model: str, source: SummarySource) -> RankedSentences:
    """Ranks what may stand in a summary."""
    texts = source.texts
    size = sum(map(len, texts))
    kept = await run_off_loop(size, lambda: choose_candidates(texts))
    async with pool.hold_ranker(model) as loaded:
        ranking = await pool.ranking_slot.run(
            lambda: lambda: loaded.backend.rank([texts[index] for index in kept], lambda: False)
        )
    scores = [0.0] * len(texts)
    if ranking is None:
        return RankedSentences((), tuple(scores))
    for index, score in zip(kept, ranking.scores, strict=True):
        scores[index] = score
    return RankedSentences(tuple(kept[index] for index in ranking.order), tuple(scores))


def extract_sentences(source: SummarySource, ranked: RankedSentences, limit: LengthLimit) -> list[int]:
    """The best sentences, in the order of the text."""
    return take_within(ranked.order, source.words, sum(source.words), limit)


def extract_standalone(source: SummarySource, ranked: RankedSentences, limit: LengthLimit) -> list[int]:
    """The best sentences that can be understood where they will stand: those that point back to nothing, each with
    the sentences that introduce whom or what it speaks of; only where there are none, those that point back, beside
    the sentence that they point to. Takes seconds of a long document: not for the event loop."""
    introductions = list_introductions(source.texts, source.language)
    pointing = find_back_references(source.texts, source.language)
    candidates = frozenset(ranked.order)
    selection = Selection(source.words, sum(source.words), limit)
    for index in ranked.order:
        if selection.is_full:
            break
        if index in pointing:
            continue
        company = _gather_introductions(index, introductions)
        if pointing.isdisjoint(company) and company <= candidates:
            selection.offer(*company)
    for index in ranked.order:
        if index in pointing and index - 1 in selection.taken:
            selection.offer(index)
    return sorted(selection.taken) or extract_sentences(source, ranked, limit)


def _gather_introductions(index: int, introductions: Sequence[frozenset[int]]) -> frozenset[int]:
    """A sentence, those that introduce whom it names, those that introduce whom these name, and so on."""
    company, waiting = {index}, [index]
    while waiting:
        new = introductions[waiting.pop()] - company
        company |= new
        waiting += new
    return frozenset(company)


def copy_sentences(source: SummarySource, ranked: RankedSentences, indices: Sequence[int]) -> list[SelectedSentence]:
    """Sentences of the content as they are."""
    return [
        SelectedSentence(sentence.text, sentence.original, (sentence.span,), ranked.scores[index])
        for index, sentence in ((index, source.sentences[index]) for index in indices)
    ]
