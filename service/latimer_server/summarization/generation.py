"""Summaries that a model writes: alone (ABSTRACTIVE), or shortening chosen sentences (HYBRID).

HYBRID gives each chosen sentence to the model by itself and takes of its beam only what is that sentence with
words left out that can be left out; else the sentence stays as it is. Knows the pool and pieces; nothing of gRPC.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from latimer_server.core.flags import Flag, merge_flags
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.models.pool.pool import ModelPool
from latimer_server.scheduling import InflightLimit, run_off_loop
from latimer_server.summarization.composition import (
    LengthLimit,
    SelectedSentence,
    SummarySource,
    count_words,
    is_whole,
    take_within,
)
from latimer_server.summarization.evidence.claim_support import index_sources
from latimer_server.summarization.evidence.compression import find_compression
from latimer_server.summarization.evidence.context import find_back_references, list_mentions
from latimer_server.summarization.extraction import (
    RankedSentences,
    copy_sentences,
    extract_sentences,
    extract_standalone,
)
from latimer_server.text.segmentation import Splitting, segment_text
from latimer_server.translation.model_run import ModelRunOptions, run_model
from latimer_server.translation.segment_output import SegmentOutput

_log = logging.getLogger(__name__)

# Shorter sentences are short enough.
_MIN_SHORTENED_WORDS = 12
_BEAM = 4
# A shortened sentence has no more tokens than a long sentence.
_MAX_SENTENCE_TOKENS = 96
# Parts of a document that are summarized each by itself; what is beyond them is not read.
_MAX_PARTS = 64
_MAX_ROUNDS = 4
_WINDOW_PIECES = 64


@dataclass(frozen=True)
class GeneratedSummary:
    """Sentences of a summary, the share of the content's words that was read, and what is said of the whole."""

    chosen: tuple[SelectedSentence, ...]
    coverage: float = 1.0
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class _ShorteningTask:
    """A sentence to be shortened: its place in the summary, and the words that those behind it rely upon."""

    place: int
    kept: frozenset[str]


async def shorten_sentences(
    pool: ModelPool,
    model: str,
    source: SummarySource,
    ranked: RankedSentences,
    limit: LengthLimit,
    pieces: ModelRunOptions,
    usage: Usage,
) -> GeneratedSummary:
    """HYBRID: the best sentences that stand by themselves, each shortened where that leaves it true.

    Raises what the model failed with where it failed at every sentence.
    """
    size = sum(map(len, source.texts))
    indices = await run_off_loop(size, lambda: extract_standalone(source, ranked, limit))
    chosen = copy_sentences(source, ranked, indices)
    tasks = await run_off_loop(size, lambda: _list_shortening_tasks(source, indices))
    if not tasks:
        return GeneratedSummary(tuple(chosen))
    asked = pieces.decoding
    beam = max(_BEAM, asked.beam_size or 1)
    decoding = replace(
        asked,
        beam_size=beam,
        hypothesis_count=beam,
        max_output_tokens=min(_MAX_SENTENCE_TOKENS, asked.max_output_tokens or _MAX_SENTENCE_TOKENS),
    )
    async with pool.hold_generator(model) as loaded:
        outputs = await run_model(
            loaded,
            [chosen[task.place].text for task in tasks],
            replace(pieces, decoding=decoding),
            InflightLimit(_WINDOW_PIECES),
            usage,
        )
    failed = [output for output in outputs if isinstance(output, Exception)]
    if len(failed) == len(outputs):
        raise failed[0]
    for error in failed:
        _log.error("sentence not shortened", exc_info=error, extra={"models": model})
    done = [(task, output) for task, output in zip(tasks, outputs, strict=True) if isinstance(output, SegmentOutput)]
    shorter = await asyncio.to_thread(
        lambda: {task.place: _find_shorter(chosen[task.place].text, task, out, source.language) for task, out in done}
    )
    for place, text in shorter.items():
        if text:
            chosen[place] = replace(chosen[place], text=text, generated=True)
    return GeneratedSummary(tuple(chosen))


async def write_summary(
    pool: ModelPool,
    model: str,
    source: SummarySource,
    ranked: RankedSentences,
    limit: LengthLimit,
    pieces: ModelRunOptions,
    usage: Usage,
) -> GeneratedSummary:
    """ABSTRACTIVE: what the model writes, of parts of the document and then of what it wrote of those."""
    async with pool.hold_generator(model) as loaded:
        texts, read = await run_off_loop(sum(map(len, source.texts)), lambda: _pack(loaded, source.texts))
        for _ in range(_MAX_ROUNDS):
            outputs = await _write_each(loaded, texts, pieces, usage)
            sentences = [sentence for output in outputs for sentence in _whole_sentences(output, source.language)]
            if len(outputs) <= 1 or _fits(sentences, source, limit):
                break
            texts, _ = _pack(loaded, sentences)
            if len(texts) >= len(outputs):
                break
    flags = merge_flags(output.flags for output in outputs)
    coverage = sum(source.words[:read]) / max(1, sum(source.words))
    words = [count_words(sentence, source.language) for sentence in sentences]
    kept = take_within(range(len(sentences)), words, sum(source.words), limit)
    if not kept or sum(words[index] for index in kept) > sum(source.words):
        # Nothing whole came out, or more than went in.
        return GeneratedSummary(
            tuple(copy_sentences(source, ranked, extract_sentences(source, ranked, limit))), coverage, flags
        )
    found = await asyncio.to_thread(lambda: _support([sentences[index] for index in kept], source, ranked))
    return GeneratedSummary(tuple(found), coverage, flags)


def _list_shortening_tasks(source: SummarySource, indices: Sequence[int]) -> list[_ShorteningTask]:
    """What is worth shortening. What the next sentence points back to must not be shortened away, nor what a later
    one mentions."""
    pointing = find_back_references(source.texts, source.language)
    mentions = list_mentions(source.texts, source.language)
    return [
        _ShorteningTask(place, frozenset[str]().union(*(mentions[later] for later in indices[place + 1 :])))
        for place, index in enumerate(indices)
        if source.words[index] >= _MIN_SHORTENED_WORDS and not (index + 1 in indices and index + 1 in pointing)
    ]


def _find_shorter(sentence: str, task: _ShorteningTask, output: SegmentOutput, language: str) -> str:
    written = [output.text, *(alternative.text for alternative in output.alternatives)]
    return find_compression(written, sentence, task.kept, language)


async def _write_each(
    loaded: LoadedGenerator, texts: Sequence[str], pieces: ModelRunOptions, usage: Usage
) -> list[SegmentOutput]:
    outputs = await run_model(loaded, texts, pieces, InflightLimit(_WINDOW_PIECES), usage)
    failed = next((output for output in outputs if isinstance(output, Exception)), None)
    if failed:
        raise failed
    return [output for output in outputs if isinstance(output, SegmentOutput)]


def _fits(sentences: Sequence[str], source: SummarySource, limit: LengthLimit) -> bool:
    """Whether what was written of the parts is already as short as it may be."""
    budget = limit.count_words(sum(source.words))
    if budget is not None:
        return sum(count_words(sentence, source.language) for sentence in sentences) <= budget
    return len(sentences) <= (limit.sentence_count or 1)


def _pack(loaded: LoadedGenerator, texts: Sequence[str]) -> tuple[list[str], int]:
    """Parts that the model can read, of whole texts in order, and how many of the texts are in them."""
    limits = loaded.backend.limits
    sizes = [len(loaded.backend.token_starts(text)) for text in texts]
    parts: list[list[str]] = []
    room = 0
    for index, (text, size) in enumerate(zip(texts, sizes, strict=True)):
        if not parts or size > room:
            if len(parts) == _MAX_PARTS:
                return [" ".join(part) for part in parts], index
            parts.append([])
            room = limits.max_input_tokens - limits.added_tokens
        parts[-1].append(text)
        room -= size
    return [" ".join(part) for part in parts], len(texts)


def _whole_sentences(output: SegmentOutput, language: str) -> list[str]:
    """The sentences of an output that are whole. Of one that was cut off the last is not, whatever it ends with:
    `Prices rose to 3.`"""
    segments = segment_text(output.text, Splitting.SENTENCES_ACROSS_LINES, language).segments
    if Flag.OUTPUT_TRUNCATED in output.flags:
        segments = segments[:-1]
    return [" ".join(segment.split()) for segment in segments if is_whole(segment)]


def _support(sentences: Sequence[str], source: SummarySource, ranked: RankedSentences) -> list[SelectedSentence]:
    sources = index_sources(source.texts, source.language)
    return [_name_support(sentence, sources.find_support(sentence), source, ranked) for sentence in sentences]


def _name_support(sentence: str, index: int | None, source: SummarySource, ranked: RankedSentences) -> SelectedSentence:
    if index is None:
        return SelectedSentence(sentence, "", (), 0.0, (Flag.UNSUPPORTED_CLAIM,), generated=True)
    return SelectedSentence(sentence, "", (source.sentences[index].span,), ranked.scores[index], generated=True)
