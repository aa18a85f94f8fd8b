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
from latimer_server.models.pool.pool import Pool
from latimer_server.scheduling import PieceWindow, off_loop
from latimer_server.summarization.composition import Chosen, LengthLimit, Reading, count_words, is_whole, take_within
from latimer_server.summarization.evidence.claim_support import index_sources
from latimer_server.summarization.evidence.compression import find_compression
from latimer_server.summarization.evidence.context import find_pointing, list_mentions
from latimer_server.summarization.extraction import Ranked, extract, extract_standing, take_over
from latimer_server.text.segmentation import Splitting, segment_text
from latimer_server.translation.model_run import PieceOptions, run_model
from latimer_server.translation.segment_output import Output

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
class Generated:
    """Sentences of a summary, the share of the content's words that was read, and what is said of the whole."""

    chosen: tuple[Chosen, ...]
    coverage: float = 1.0
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class _Wish:
    """A sentence to be shortened: its place in the summary, and the words that those behind it rely upon."""

    place: int
    kept: frozenset[str]


async def shorten(
    pool: Pool, model: str, reading: Reading, ranked: Ranked, limit: LengthLimit, pieces: PieceOptions, usage: Usage
) -> Generated:
    """HYBRID: the best sentences that stand by themselves, each shortened where that leaves it true.

    Raises what the model failed with where it failed at every sentence.
    """
    size = sum(map(len, reading.texts))
    indices = await off_loop(size, lambda: extract_standing(reading, ranked, limit))
    chosen = take_over(reading, ranked, indices)
    wishes = await off_loop(size, lambda: _list_wishes(reading, indices))
    if not wishes:
        return Generated(tuple(chosen))
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
            [chosen[wish.place].text for wish in wishes],
            replace(pieces, decoding=decoding),
            PieceWindow(_WINDOW_PIECES),
            usage,
        )
    failed = [output for output in outputs if isinstance(output, Exception)]
    if len(failed) == len(outputs):
        raise failed[0]
    for error in failed:
        _log.error("sentence not shortened", exc_info=error, extra={"models": model})
    done = [(wish, output) for wish, output in zip(wishes, outputs, strict=True) if isinstance(output, Output)]
    shorter = await asyncio.to_thread(
        lambda: {wish.place: _find_shorter(chosen[wish.place].text, wish, out, reading.language) for wish, out in done}
    )
    for place, text in shorter.items():
        if text:
            chosen[place] = replace(chosen[place], text=text, generated=True)
    return Generated(tuple(chosen))


async def write(
    pool: Pool, model: str, reading: Reading, ranked: Ranked, limit: LengthLimit, pieces: PieceOptions, usage: Usage
) -> Generated:
    """ABSTRACTIVE: what the model writes, of parts of the document and then of what it wrote of those."""
    async with pool.hold_generator(model) as loaded:
        texts, read = await off_loop(sum(map(len, reading.texts)), lambda: _pack(loaded, reading.texts))
        for _ in range(_MAX_ROUNDS):
            outputs = await _write_each(loaded, texts, pieces, usage)
            sentences = [sentence for output in outputs for sentence in _whole_sentences(output, reading.language)]
            if len(outputs) <= 1 or _fits(sentences, reading, limit):
                break
            texts, _ = _pack(loaded, sentences)
            if len(texts) >= len(outputs):
                break
    flags = merge_flags(output.flags for output in outputs)
    coverage = sum(reading.words[:read]) / max(1, sum(reading.words))
    words = [count_words(sentence, reading.language) for sentence in sentences]
    kept = take_within(range(len(sentences)), words, sum(reading.words), limit)
    if not kept or sum(words[index] for index in kept) > sum(reading.words):
        # Nothing whole came out, or more than went in.
        return Generated(tuple(take_over(reading, ranked, extract(reading, ranked, limit))), coverage, flags)
    found = await asyncio.to_thread(lambda: _support([sentences[index] for index in kept], reading, ranked))
    return Generated(tuple(found), coverage, flags)


def _list_wishes(reading: Reading, indices: Sequence[int]) -> list[_Wish]:
    """What is worth shortening. What the next sentence points back to must not be shortened away, nor what a later
    one mentions."""
    pointing = find_pointing(reading.texts, reading.language)
    mentions = list_mentions(reading.texts, reading.language)
    return [
        _Wish(place, frozenset[str]().union(*(mentions[later] for later in indices[place + 1 :])))
        for place, index in enumerate(indices)
        if reading.words[index] >= _MIN_SHORTENED_WORDS and not (index + 1 in indices and index + 1 in pointing)
    ]


def _find_shorter(sentence: str, wish: _Wish, output: Output, language: str) -> str:
    written = [output.text, *(alternative.text for alternative in output.alternatives)]
    return find_compression(written, sentence, wish.kept, language)


async def _write_each(
    loaded: LoadedGenerator, texts: Sequence[str], pieces: PieceOptions, usage: Usage
) -> list[Output]:
    outputs = await run_model(loaded, texts, pieces, PieceWindow(_WINDOW_PIECES), usage)
    failed = next((output for output in outputs if isinstance(output, Exception)), None)
    if failed:
        raise failed
    return [output for output in outputs if isinstance(output, Output)]


def _fits(sentences: Sequence[str], reading: Reading, limit: LengthLimit) -> bool:
    """Whether what was written of the parts is already as short as it may be."""
    budget = limit.count_words(sum(reading.words))
    if budget is not None:
        return sum(count_words(sentence, reading.language) for sentence in sentences) <= budget
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


def _whole_sentences(output: Output, language: str) -> list[str]:
    """The sentences of an output that are whole. Of one that was cut off the last is not, whatever it ends with:
    `Prices rose to 3.`"""
    segments = segment_text(output.text, Splitting.SENTENCES_ACROSS_LINES, language).segments
    if Flag.OUTPUT_TRUNCATED in output.flags:
        segments = segments[:-1]
    return [" ".join(segment.split()) for segment in segments if is_whole(segment)]


def _support(sentences: Sequence[str], reading: Reading, ranked: Ranked) -> list[Chosen]:
    sources = index_sources(reading.texts, reading.language)
    return [_name_support(sentence, sources.find_support(sentence), reading, ranked) for sentence in sentences]


def _name_support(sentence: str, index: int | None, reading: Reading, ranked: Ranked) -> Chosen:
    if index is None:
        return Chosen(sentence, "", (), 0.0, (Flag.UNSUPPORTED_CLAIM,), generated=True)
    return Chosen(sentence, "", (reading.sentences[index].span,), ranked.scores[index], generated=True)
