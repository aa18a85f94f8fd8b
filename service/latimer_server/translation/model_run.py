"""Takes segments through one model: encodes them, divides what is too long, queues the pieces, decodes.

Knows a loaded model and its queue; nothing of documents, routes or languages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from latimer_server.backends.protocol import GeneratorBackend
from latimer_server.core.decoding import DecodingOptions, Hypothesis, LanguagePair, TokenIds
from latimer_server.core.errors import DeadlineExceeded, OverlongSegment, Unavailable
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.scheduling import InflightLimit, Priority, TimedHypothesis, gather_or_cancel, run_off_loop
from latimer_server.text.alignment import Link, shift_link
from latimer_server.text.segmentation import Document, divide_segment, find_lines, needs_translation, rebuild_text
from latimer_server.translation.segment_output import Alternative, SegmentOutput

# Pieces that enter the queue together.
_SLICE_PIECES = 256


@dataclass(frozen=True)
class ModelRunOptions:
    """What holds for all pieces of a request. `caller`: whose turn they take in the queue; None: nobody else's.
    `cached`: whether what is known of them may be taken from the cache, and what is made of them kept there."""

    decoding: DecodingOptions
    reject_overlong: bool
    priority: Priority
    deadline: float | None
    caller: Hashable
    languages: LanguagePair = LanguagePair()
    cached: bool = True


@dataclass(frozen=True)
class _Plan:
    """A segment as the model will read it: its pieces' places in it, and their token ids."""

    document: Document
    pieces: tuple[TokenIds, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class _Result:
    """What became of a piece."""

    hypothesis: Hypothesis
    cached: bool


async def run_model(
    model: LoadedGenerator, texts: Sequence[str], options: ModelRunOptions, inflight: InflightLimit, usage: Usage
) -> list[SegmentOutput | Exception]:
    """For each text, in order, its output or what went wrong with it alone.

    Its pieces enter the queue as `inflight` has room, unless the cache knows them. Raises `DeadlineExceeded` and
    `Unavailable`, which concern all texts, and `Overloaded` where the cache does not know all of them, nothing of the
    request was begun and its deadline leaves no time for the wait. When it ends, however it ends, none of its pieces
    stays queued.
    """
    size = sum(map(len, texts))
    plans = await run_off_loop(size, lambda: _plan_all(model.backend, texts, options))
    pieces = [ids for plan in plans if isinstance(plan, _Plan) for ids in plan.pieces]
    decoding = options.decoding.with_hypotheses(options.decoding.hypothesis_count, target=options.languages.target)
    options = options if decoding is options.decoding else replace(options, decoding=decoding)
    cache = model.cache if options.cached else None
    known = [cache.get(ids, options.decoding) if cache else None for ids in pieces]
    missing = [ids for ids, hypothesis in zip(pieces, known, strict=True) if hypothesis is None]
    begins = not usage.pieces and inflight.is_empty
    if missing and cache is not None and begins and options.priority is Priority.INTERACTIVE:
        # Where there is no cache this was asked before the text was looked at.
        model.queue.require_deadline_met(options.deadline, options.priority, _name_caller(options, inflight))
    slices = [missing[start : start + _SLICE_PIECES] for start in range(0, len(missing), _SLICE_PIECES)]
    parts = await gather_or_cancel(_run_slice(model, part, options, inflight, usage) for part in slices)
    computed = iter([result for part in parts for result in part])
    results = [_Result(hypothesis, cached=True) if hypothesis else next(computed) for hypothesis in known]
    aligns = options.decoding.alignment and model.entry.guided_alignment
    return await run_off_loop(size, lambda: _decode_all(model.backend, plans, results, aligns=aligns))


async def _run_slice(
    model: LoadedGenerator, pieces: Sequence[TokenIds], options: ModelRunOptions, inflight: InflightLimit, usage: Usage
) -> list[_Result | Exception]:
    async with inflight.hold(len(pieces)):
        futures = [
            model.queue.submit(
                ids,
                options.decoding,
                priority=options.priority,
                deadline=options.deadline,
                caller=_name_caller(options, inflight),
                request=inflight,
            )
            for ids in pieces
        ]
        results = await _wait_for_all(futures)
    kept: list[_Result | Exception] = []
    for ids, result in zip(pieces, results, strict=True):
        if isinstance(result, TimedHypothesis):
            usage.count(result, len(ids))
            if model.cache and options.cached:
                model.cache.put(ids, options.decoding, result.hypothesis)
            kept.append(_Result(result.hypothesis, cached=False))
        elif isinstance(result, (DeadlineExceeded, Unavailable)) or not isinstance(result, Exception):
            raise result
        else:
            kept.append(result)
    return kept


async def _wait_for_all(futures: Sequence[asyncio.Future[TimedHypothesis]]) -> list[TimedHypothesis | BaseException]:
    """What became of each, in order; all are withdrawn when the caller goes. One alone is awaited as it is: a sentence
    is one piece, and gathering costs as much as queueing it."""
    try:
        if len(futures) > 1:
            return await asyncio.gather(*futures, return_exceptions=True)
        return [await future for future in futures]
    except Exception as error:  # noqa: BLE001 (a piece's own: what became of it)
        return [error]
    finally:
        for future in futures:
            future.cancel()


def _name_caller(options: ModelRunOptions, inflight: InflightLimit) -> Hashable:
    return inflight if options.caller is None else options.caller


def _plan_all(
    backend: GeneratorBackend, texts: Sequence[str], options: ModelRunOptions
) -> list[_Plan | OverlongSegment]:
    limit = backend.limits.max_input_tokens
    plans: list[_Plan | OverlongSegment] = []
    for text, encoding in zip(texts, backend.encode(texts, options.languages), strict=True):
        unknown = (Flag.UNKNOWN_TOKENS,) if encoding.unknown_tokens else ()
        # A segment may hold line breaks (splitting OFF), which no model gives back: its lines are pieces.
        lines = find_lines(text)
        if len(encoding.ids) <= limit and lines.spans == (TextSpan(0, len(text)),):
            plans.append(_Plan(lines, (encoding.ids,), unknown))
            continue
        if options.reject_overlong and len(encoding.ids) > limit:
            plans.append(OverlongSegment(f"a segment has {len(encoding.ids)} tokens; the model reads {limit}"))
        else:
            plans.append(_divide(backend, lines, unknown, options.languages))
    return plans


def _divide(backend: GeneratorBackend, lines: Document, flags: tuple[Flag, ...], languages: LanguagePair) -> _Plan:
    """Pieces of every line. What holds no letter between them is no piece and stays as it is."""
    parts = [
        TextSpan(line.start + part.start, line.start + part.end)
        for line, text in zip(lines.spans, lines.segments, strict=True)
        for part in divide_segment(
            text, backend.limits.max_input_tokens - backend.limits.added_tokens, backend.token_starts
        )
    ]
    wanted = [part for part in parts if needs_translation(lines.text[part.start : part.end])]
    document = Document(lines.text, tuple(wanted))
    pieces = tuple(encoding.ids for encoding in backend.encode(document.segments, languages))
    return _Plan(document, pieces, (*flags, Flag.SEGMENT_SPLIT) if len(parts) > len(lines.spans) else flags)


def _decode_all(
    backend: GeneratorBackend,
    plans: Sequence[_Plan | OverlongSegment],
    results: Sequence[_Result | Exception],
    *,
    aligns: bool,
) -> list[SegmentOutput | Exception]:
    done = [result.hypothesis for result in results if isinstance(result, _Result)]
    ranked = [(hypothesis, *hypothesis.alternatives) for hypothesis in done]
    texts = iter(backend.decode([hypothesis.ids for row in ranked for hypothesis in row]))
    decoded = iter([[(next(texts), hypothesis) for hypothesis in row] for row in ranked])
    outputs: list[SegmentOutput | Exception] = []
    position = 0
    for plan in plans:
        if isinstance(plan, OverlongSegment):
            outputs.append(plan)
            continue
        mine = results[position : position + len(plan.pieces)]
        position += len(plan.pieces)
        pieces = [next(decoded) for result in mine if isinstance(result, _Result)]
        failed = [result for result in mine if isinstance(result, Exception)]
        if failed:
            outputs.append(failed[0])
            continue
        links = _link(backend, plan, [row[0][1] for row in pieces]) if aligns else None
        cached = bool(mine) and all(isinstance(result, _Result) and result.cached for result in mine)
        outputs.append(_join(plan, pieces, links, cached=cached))
    return outputs


def _join(
    plan: _Plan,
    pieces: Sequence[Sequence[tuple[str, Hypothesis]]],
    links: tuple[Link, ...] | None,
    *,
    cached: bool,
) -> SegmentOutput:
    """The output of a segment from what its pieces came to, best first. Another output is made of the pieces'
    next best, where a piece has one."""
    flags = plan.flags
    if any(row[0][1].truncated for row in pieces):
        flags = (*flags, Flag.OUTPUT_TRUNCATED)
    if cached:
        flags = (*flags, Flag.CACHED)
    others = [_choose(plan, pieces, rank) for rank in range(1, max(map(len, pieces), default=1))]
    alternatives = tuple(Alternative(other.text, other.avg_log_prob) for other in others)
    return _choose(plan, pieces, 0, flags, alternatives, links)


def _link(backend: GeneratorBackend, plan: _Plan, hypotheses: Sequence[Hypothesis]) -> tuple[Link, ...]:
    """Which range of a segment each token of its output answers."""
    decoded = [backend.decode_spans(hypothesis.ids) for hypothesis in hypotheses]
    rebuilt = rebuild_text(plan.document, [text for text, _ in decoded])
    links: list[Link] = []
    for hypothesis, place, target, (_, written) in zip(
        hypotheses, plan.document.spans, rebuilt.spans, decoded, strict=True
    ):
        read = backend.token_spans(plan.document.text[place.start : place.end])
        for (position, weight), (start, end) in zip(hypothesis.alignment, written, strict=True):
            if position < len(read) and start < end and read[position][0] < read[position][1]:
                link = Link(TextSpan(*read[position]), TextSpan(start, end), weight)
                links.append(shift_link(link, place.start, target.start))
    return tuple(links)


def _choose(
    plan: _Plan,
    pieces: Sequence[Sequence[tuple[str, Hypothesis]]],
    rank: int,
    flags: tuple[Flag, ...] = (),
    alternatives: tuple[Alternative, ...] = (),
    links: tuple[Link, ...] | None = None,
) -> SegmentOutput:
    chosen = [row[rank] if rank < len(row) else row[0] for row in pieces]
    return SegmentOutput(
        rebuild_text(plan.document, [text for text, _ in chosen]).text,
        sum(hypothesis.log_prob for _, hypothesis in chosen),
        sum(hypothesis.token_count for _, hypothesis in chosen),
        flags,
        alternatives,
        links=links,
    )
