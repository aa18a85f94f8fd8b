"""Generation: summaries that a model writes (ABSTRACTIVE) and sentences that a model shortens (HYBRID).

HYBRID gives each chosen sentence to the model by itself. It uses a hypothesis only if that is the sentence with words
left out that can be left out safely; otherwise the sentence stays unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from latimer_server.core.flags import Flag, merge_flags
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.models.pool.pool import ModelPool
from latimer_server.scheduling import InflightLimit
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

# HYBRID leaves sentences with fewer words unchanged.
_MIN_SHORTENED_WORDS = 12
# The least beam size of HYBRID: every hypothesis of the beam is a candidate for the shortened sentence.
_BEAM = 4
_COMPRESSION_COST = 100
# Most tokens of a shortened sentence.
_MAX_SENTENCE_TOKENS = 96
# Most parts into which the texts of one round of ABSTRACTIVE are packed, each of the size of one model input. Text
# beyond them is not read.
_MAX_PARTS = 64
# Most rounds of ABSTRACTIVE. The first round summarizes the parts of the document, and each later round the joined
# summaries of the round before.
_MAX_ROUNDS = 4
# Most pieces of one request in the model's queue at a time.
_WINDOW_PIECES = 64


@dataclass(frozen=True)
class GeneratedSummary:
    """The sentences of a summary, the share of the content's words that was read (0 to 1), and the flags.

    `has_run`: whether the model that generates text computed anything for it.
    """

    chosen: tuple[SelectedSentence, ...]
    coverage: float = 1.0
    flags: tuple[Flag, ...] = ()
    has_run: bool = True


@dataclass(frozen=True)
class _ShorteningTask:
    """A sentence to shorten: its index in the summary, and the words that must stay.

    `kept` holds the names and subjects that later sentences of the summary mention.
    """

    place: int
    kept: frozenset[str]


async def shorten_sentences(
    pool: ModelPool,
    model: str,
    source: SummarySource,
    ranked: RankedSentences,
    limit: LengthLimit,
    run_options: ModelRunOptions,
    usage: Usage,
) -> GeneratedSummary:
    """Writes a HYBRID summary: extracts sentences that stand alone, and shortens those that stay true when shortened.

    If the model fails for some sentences, these stay unchanged. If it fails for all, raises the first error.
    """
    size = sum(map(len, source.texts))
    indices = await run_options.text.run(size, lambda: extract_standalone(source, ranked, limit))
    chosen = copy_sentences(source, ranked, indices)
    tasks = await run_options.text.run(size, lambda: _list_shortening_tasks(source, indices))
    if not tasks:
        return GeneratedSummary(tuple(chosen), has_run=False)
    requested = run_options.decoding
    beam = max(_BEAM, requested.beam_size or 1)
    decoding = replace(
        requested,
        beam_size=beam,
        hypothesis_count=beam,
        max_output_tokens=min(_MAX_SENTENCE_TOKENS, requested.max_output_tokens or _MAX_SENTENCE_TOKENS),
    )
    async with pool.hold_generator(model) as loaded:
        outputs = await run_model(
            loaded,
            [chosen[task.place].text for task in tasks],
            replace(run_options, decoding=decoding),
            InflightLimit(_WINDOW_PIECES),
            usage,
        )
    errors = [output for output in outputs if isinstance(output, Exception)]
    if len(errors) == len(outputs):
        raise errors[0]
    for error in errors:
        _log.error("sentence not shortened", exc_info=error, extra={"models": model})
    pairs = [(task, output) for task, output in zip(tasks, outputs, strict=True) if isinstance(output, SegmentOutput)]
    # Finding a compression costs far more than its length.
    shorter = await run_options.text.run(
        _COMPRESSION_COST * size,
        lambda: {task.place: _find_shorter(chosen[task.place].text, task, out, source.language) for task, out in pairs},
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
    run_options: ModelRunOptions,
    usage: Usage,
) -> GeneratedSummary:
    """Writes an ABSTRACTIVE summary in rounds.

    The first round summarizes the parts of the document, each later one the joined summaries of the round before. The
    rounds end when the sentences fit into `limit`, after a round over a single part, when the joined summaries make no
    fewer parts, or after four rounds. Sentences that do not fit then are left out.

    Falls back to the best sentences of the source if the model writes no whole sentence that fits, or more words than
    the source has. A sentence that no source sentence supports gets the UNSUPPORTED_CLAIM flag.
    """
    async with pool.hold_generator(model) as loaded:
        texts, read_count = await run_options.text.run(sum(map(len, source.texts)), lambda: _pack(loaded, source.texts))
        for _ in range(_MAX_ROUNDS):
            outputs = await _write_each(loaded, texts, run_options, usage)
            sentences = [sentence for output in outputs for sentence in _whole_sentences(output, source.language)]
            if len(outputs) <= 1 or _fits(sentences, source, limit):
                break
            texts, _ = await run_options.text.run(sum(map(len, sentences)), partial(_pack, loaded, sentences))
            if len(texts) >= len(outputs):
                break
    flags = merge_flags(output.flags for output in outputs)
    coverage = sum(source.words[:read_count]) / max(1, sum(source.words))
    words = [count_words(sentence, source.language) for sentence in sentences]
    kept = take_within(range(len(sentences)), words, sum(source.words), limit)
    if not kept or sum(words[index] for index in kept) > sum(source.words):
        return GeneratedSummary(
            tuple(copy_sentences(source, ranked, extract_sentences(source, ranked, limit))), coverage, flags
        )
    supported = await run_options.text.run(
        sum(map(len, source.texts)), lambda: _find_support([sentences[index] for index in kept], source, ranked)
    )
    return GeneratedSummary(tuple(supported), coverage, flags)


def _list_shortening_tasks(source: SummarySource, indices: Sequence[int]) -> list[_ShorteningTask]:
    """Returns a task for each chosen sentence of at least 12 words.

    `indices` are the chosen sentences of the source, ascending. A sentence is left out if the source's next sentence is
    chosen too and refers back. Each task keeps the names and subjects that later sentences of the summary mention.
    """
    referring_back = find_back_references(source.texts, source.language)
    mentions = list_mentions(source.texts, source.language)
    return [
        _ShorteningTask(place, frozenset[str]().union(*(mentions[later] for later in indices[place + 1 :])))
        for place, index in enumerate(indices)
        if source.words[index] >= _MIN_SHORTENED_WORDS and not (index + 1 in indices and index + 1 in referring_back)
    ]


def _find_shorter(sentence: str, task: _ShorteningTask, output: SegmentOutput, language: str) -> str:
    candidates = [output.text, *(alternative.text for alternative in output.alternatives)]
    return find_compression(candidates, sentence, task.kept, language)


async def _write_each(
    loaded: LoadedGenerator, texts: Sequence[str], run_options: ModelRunOptions, usage: Usage
) -> list[SegmentOutput]:
    """Returns the model's output for each text, in order. Raises the first error of a text."""
    outputs = await run_model(loaded, texts, run_options, InflightLimit(_WINDOW_PIECES), usage)
    error = next((output for output in outputs if isinstance(output, Exception)), None)
    if error:
        raise error
    return [output for output in outputs if isinstance(output, SegmentOutput)]


def _fits(sentences: Sequence[str], source: SummarySource, limit: LengthLimit) -> bool:
    """True if the generated sentences, counted in words or in sentences, are within the length limit."""
    budget = limit.count_words(sum(source.words))
    if budget is not None:
        return sum(count_words(sentence, source.language) for sentence in sentences) <= budget
    return len(sentences) <= (limit.sentence_count or 1)


def _pack(loaded: LoadedGenerator, texts: Sequence[str]) -> tuple[list[str], int]:
    """Joins whole texts, in order, with spaces into parts that the model can read at once.

    Returns the parts, at most 64, and the number of texts in them. A text that is too long is a part by itself.
    """
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
    """Returns the sentences of an output that end like a sentence, with line breaks joined.

    The last sentence of a truncated output is dropped even if it ends with a full stop (`Prices rose to 3.`).
    """
    segments = segment_text(output.text, Splitting.SENTENCES_ACROSS_LINES, language).segments
    if Flag.OUTPUT_TRUNCATED in output.flags:
        segments = segments[:-1]
    return [" ".join(segment.split()) for segment in segments if is_whole(segment)]


def _find_support(sentences: Sequence[str], source: SummarySource, ranked: RankedSentences) -> list[SelectedSentence]:
    sources = index_sources(source.texts, source.language)
    return [_add_support(sentence, sources.find_support(sentence), source, ranked) for sentence in sentences]


def _add_support(sentence: str, index: int | None, source: SummarySource, ranked: RankedSentences) -> SelectedSentence:
    """Returns a generated sentence with the span and score of the source sentence `index` that supports it.

    If `index` is None, there is no support: the result has no span, score 0 and the UNSUPPORTED_CLAIM flag.
    """
    if index is None:
        return SelectedSentence(sentence, "", (), 0.0, (Flag.UNSUPPORTED_CLAIM,), generated=True)
    return SelectedSentence(sentence, "", (source.sentences[index].span,), ranked.scores[index], generated=True)
