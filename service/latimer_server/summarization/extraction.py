"""Extraction: ranks the sentences of a source and selects the best ones unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.core.usage import Usage
from latimer_server.models.pool.pool import ModelPool
from latimer_server.scheduling import Priority, TextWork
from latimer_server.summarization.composition import (
    LengthLimit,
    SelectedSentence,
    Selection,
    SummarySource,
    choose_candidates,
    take_within,
)
from latimer_server.summarization.evidence.context import find_back_references, list_introductions

# Rankings of texts with more code points than this go after other work.
_LONG_CHARACTERS = 20_000


@dataclass(frozen=True)
class RankedSentences:
    """The indices of the candidates, best first, and the score of every sentence (0 if it is no candidate)."""

    order: tuple[int, ...]
    scores: tuple[float, ...]


async def rank_sentences(
    pool: ModelPool, model: str, source: SummarySource, text: TextWork, usage: Usage
) -> RankedSentences:
    """Ranks, with the model `model`, the sentences of a source that may stand in a summary (`choose_candidates`)."""
    texts = source.texts
    size = sum(map(len, texts))
    candidates = await text.run(size, lambda: choose_candidates(texts))
    async with pool.hold_ranker(model) as loaded:
        # A long text takes seconds: shorter work goes first.
        priority = Priority.BULK if size > _LONG_CHARACTERS else Priority.INTERACTIVE
        timed = await pool.ranking.rank(loaded, [texts[index] for index in candidates], priority)
    usage.count_times(timed.queued, timed.started, timed.ended)
    ranking = timed.ranking
    scores = [0.0] * len(texts)
    for index, score in zip(candidates, ranking.scores, strict=True):
        scores[index] = score
    return RankedSentences(tuple(candidates[index] for index in ranking.order), tuple(scores))


def extract_sentences(source: SummarySource, ranked: RankedSentences, limit: LengthLimit) -> list[int]:
    """Returns the indices of the best sentences that fit into the limit, in the order of the text."""
    return take_within(ranked.order, source.words, sum(source.words), limit)


def extract_standalone(source: SummarySource, ranked: RankedSentences, limit: LengthLimit) -> list[int]:
    """Returns the indices of the best sentences that a reader understands without the rest, in the order of the text.

    First takes sentences that do not refer back, each together with the sentences that introduce the names and things
    that it mentions. Then adds sentences that refer back if the sentence before them is taken. Falls back to
    `extract_sentences` if this yields none. Takes seconds for a long document, so it must not run on the event loop.
    """
    introductions = list_introductions(source.texts, source.language)
    referring_back = find_back_references(source.texts, source.language)
    candidates = frozenset(ranked.order)
    selection = Selection(source.words, sum(source.words), limit)
    for index in ranked.order:
        if selection.is_full:
            break
        if index in referring_back:
            continue
        group = _gather_introductions(index, introductions)
        if referring_back.isdisjoint(group) and group <= candidates:
            selection.offer(*group)
    for index in ranked.order:
        if index in referring_back and index - 1 in selection.taken:
            selection.offer(index)
    return sorted(selection.taken) or extract_sentences(source, ranked, limit)


def _gather_introductions(index: int, introductions: Sequence[frozenset[int]]) -> frozenset[int]:
    """Returns the index of a sentence and of all that introduce its names, and recursively the names in those."""
    group, pending = {index}, [index]
    while pending:
        new = introductions[pending.pop()] - group
        group |= new
        pending += new
    return frozenset(group)


def copy_sentences(source: SummarySource, ranked: RankedSentences, indices: Sequence[int]) -> list[SelectedSentence]:
    """Returns the sentences of the source at `indices` unchanged, each with its span in the content and its score."""
    return [
        SelectedSentence(sentence.text, sentence.original, (sentence.span,), ranked.scores[index])
        for index, sentence in ((index, source.sentences[index]) for index in indices)
    ]
