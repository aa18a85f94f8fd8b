"""Summaries that a model writes: alone (ABSTRACTIVE), or shortening chosen sentences (HYBRID).

HYBRID gives each chosen sentence to the model by itself and takes of its beam only what is that sentence with
words left out that can be left out; else the sentence stays as it is. Knows the pool and pieces; nothing of gRPC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latimer_server.models.loaded import LoadedGenerator
from latimer_server.models.pool import Pool
from latimer_server.pieces import Output, PieceOptions, Usage, run_model
from latimer_server.scheduling import PieceWindow, off_loop
from latimer_server.summaries.composition import Chosen, LengthLimit, Reading, count_words, is_whole, take_within
from latimer_server.summaries.extraction import Ranked, extract, extract_standing, take_over
from latimer_server.text.checks import Flag
from latimer_server.text.compression import find_compression
from latimer_server.text.context import find_pointing, list_mentions
from latimer_server.text.segmentation import Splitting, segment_text
from latimer_server.text.support import find_support

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
    """Sentences of a summary, and the share of the content's words that was read."""

    chosen: tuple[Chosen, ...]
    coverage: float = 1.0


async def shorten(
    pool: Pool, model: str, reading: Reading, ranked: Ranked, limit: LengthLimit, pieces: PieceOptions, usage: Usage
) -> Generated:
    """HYBRID: the best sentences that stand by themselves, each shortened where that leaves it true."""
    indices = extract_standing(reading, ranked, limit)
    chosen = take_over(reading, ranked, indices)
    pointing = find_pointing(reading.texts, reading.language)
    # What the next sentence points back to must not be shortened away.
    wanted = [
        place
        for place, index in enumerate(indices)
        if reading.words[index] >= _MIN_SHORTENED_WORDS and not (index + 1 in indices and index + 1 in pointing)
    ]
    mentions = list_mentions(reading.texts, reading.language)
    if not wanted:
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
            [chosen[place].text for place in wanted],
            replace(pieces, decoding=decoding),
            PieceWindow(_WINDOW_PIECES),
            usage,
        )
    for place, output in zip(wanted, outputs, strict=True):
        if not isinstance(output, Output):
            continue
        # What the sentences behind this one mention must still be introduced.
        kept = frozenset[str]().union(*(mentions[index] for index in indices[place + 1 :]))
        written = [output.text, *(alternative.text for alternative in output.alternatives)]
        if shorter := find_compression(written, chosen[place].text, kept, reading.language):
            chosen[place] = replace(chosen[place], text=shorter, original="")
    return Generated(tuple(chosen))


async def write(
    pool: Pool, model: str, reading: Reading, ranked: Ranked, limit: LengthLimit, pieces: PieceOptions, usage: Usage
) -> Generated:
    """ABSTRACTIVE: what the model writes, of parts of the document and then of what it wrote of those."""
    async with pool.hold_generator(model) as loaded:
        texts, read = await off_loop(sum(map(len, reading.texts)), lambda: _pack(loaded, reading.texts))
        for _ in range(_MAX_ROUNDS):
            written = await _write_each(loaded, texts, pieces, usage)
            if len(written) <= 1 or _fits(written, reading, limit):
                break
            joined = [sentence for text in written for sentence in _whole_sentences(text, reading.language)]
            texts, _ = _pack(loaded, joined)
            if len(texts) >= len(written):
                break
    sentences = [sentence for text in written for sentence in _whole_sentences(text, reading.language)]
    coverage = sum(reading.words[:read]) / max(1, sum(reading.words))
    words = [count_words(sentence, reading.language) for sentence in sentences]
    kept = take_within(range(len(sentences)), words, sum(reading.words), limit)
    if not kept or sum(words[index] for index in kept) > sum(reading.words):
        # Nothing whole came out, or more than went in.
        return Generated(tuple(take_over(reading, ranked, extract(reading, ranked, limit))), coverage)
    size = len(sentences) * sum(map(len, reading.texts))
    found = await off_loop(size, lambda: [_support(sentences[index], reading, ranked) for index in kept])
    return Generated(tuple(found), coverage)


async def _write_each(loaded: LoadedGenerator, texts: Sequence[str], pieces: PieceOptions, usage: Usage) -> list[str]:
    outputs = await run_model(loaded, texts, pieces, PieceWindow(_WINDOW_PIECES), usage)
    failed = next((output for output in outputs if isinstance(output, Exception)), None)
    if failed:
        raise failed
    return [output.text for output in outputs if isinstance(output, Output)]


def _fits(written: Sequence[str], reading: Reading, limit: LengthLimit) -> bool:
    """Whether what was written of the parts is already as short as it may be."""
    budget = limit.count_words(sum(reading.words))
    if budget is not None:
        return sum(count_words(text, reading.language) for text in written) <= budget
    return len(written) <= (limit.sentence_count or 1)


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


def _whole_sentences(text: str, language: str) -> list[str]:
    """The sentences of a generated text that are whole: a model that reached its cap leaves half a one."""
    segments = segment_text(text, Splitting.SENTENCES_ACROSS_LINES, language).segments
    return [" ".join(segment.split()) for segment in segments if is_whole(segment)]


def _support(sentence: str, reading: Reading, ranked: Ranked) -> Chosen:
    found = find_support(sentence, reading.texts)
    spans = () if found.index is None else (reading.sentences[found.index].span,)
    score = 0.0 if found.index is None else ranked.scores[found.index]
    flags = () if found.supported else (Flag.UNSUPPORTED_CLAIM,)
    return Chosen(sentence, "", spans, score, flags)
