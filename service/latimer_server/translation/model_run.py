"""Model run: takes segments through one model. Encodes them, divides long ones into pieces, queues and decodes them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from latimer_server.backends.protocol import GeneratorBackend
from latimer_server.core.decoding import DecodingOptions, Hypothesis, LanguagePair, TokenIds
from latimer_server.core.errors import DeadlineExceeded, OverlongSegment, Unavailable
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.scheduling import (
    InflightLimit,
    Priority,
    TextWork,
    TimedHypothesis,
    count_characters,
    count_tokens,
    gather_or_cancel,
)
from latimer_server.text.alignment import Link, shift_link
from latimer_server.text.checks.coverage import has_gap, loses_clause
from latimer_server.text.segmentation import Document, divide_segment, find_lines, needs_translation, rebuild_text
from latimer_server.translation.segment_output import Alternative, SegmentOutput

# Most pieces that enter the queue together, and that wait for room in `inflight` together.
_SLICE_PIECES = 256


@dataclass(frozen=True)
class ModelRunOptions:
    """The options that all pieces of a request share.

    `deadline` is a reading of the queue's clock in seconds; None means no deadline. `caller` owns the turn of the
    pieces in the queue; None makes the request a caller of its own. `cached` allows reading from and writing to the
    model's cache.
    """

    decoding: DecodingOptions
    reject_overlong: bool
    priority: Priority
    deadline: float | None
    caller: Hashable
    languages: LanguagePair = LanguagePair()
    cached: bool = True
    text: TextWork = TextWork()


@dataclass(frozen=True)
class _Plan:
    """A segment divided into pieces. The spans of `document` are the places of the pieces, `pieces` their token ids."""

    document: Document
    pieces: tuple[TokenIds, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class _Result:
    """The hypothesis of one piece. `cached` is True if it came from the cache."""

    hypothesis: Hypothesis
    cached: bool


async def run_model(
    model: LoadedGenerator, texts: Sequence[str], options: ModelRunOptions, inflight: InflightLimit, usage: Usage
) -> list[SegmentOutput | Exception]:
    """Returns for each text, in order, its output or the error that concerns it alone.

    Pieces that are not in the cache enter the queue as `inflight` has room. Raises `DeadlineExceeded` and
    `Unavailable`, which concern all texts. Raises `Overloaded` if the deadline leaves no time for the queue; this is
    checked only before the first pieces of an interactive request and only if some of them are not in the cache. No
    piece stays queued when the function returns or raises.
    """
    size = sum(map(len, texts))
    plans = await options.text.run(size, lambda: _plan_all(model.backend, texts, options))
    pieces = [ids for plan in plans if isinstance(plan, _Plan) for ids in plan.pieces]
    model.queue.note_encoding(sum(map(count_characters, texts)), sum(map(count_tokens, pieces)))
    aligns = options.decoding.alignment and model.entry.guided_alignment
    decoding = options.decoding.with_hypotheses(
        options.decoding.hypothesis_count,
        # The check of lost clauses needs the alignment, which costs a student nothing.
        alignment=model.entry.guided_alignment,
        target=options.languages.target,
    )
    options = options if decoding is options.decoding else replace(options, decoding=decoding)
    cache = model.cache if options.cached else None
    cache_hits = [cache.get(ids, options.decoding) if cache else None for ids in pieces]
    # Equal pieces are computed once. A text may have a hundred thousand of them, each with a future otherwise.
    missing = Counter(ids for ids, hypothesis in zip(pieces, cache_hits, strict=True) if hypothesis is None)
    # A ranking that came before counts as a piece, but has no tokens.
    is_first = not usage.input_tokens and inflight.is_empty
    if missing and cache is not None and is_first and options.priority is Priority.INTERACTIVE:
        # Without a cache, the deadline was already checked before the text was read.
        model.queue.require_deadline_met(options.deadline, options.priority, _name_caller(options, inflight))
    counted = list(missing.items())
    slices = [counted[start : start + _SLICE_PIECES] for start in range(0, len(counted), _SLICE_PIECES)]
    parts = await gather_or_cancel(_run_slice(model, part, options, inflight, usage) for part in slices)
    computed = dict(zip(missing, [result for part in parts for result in part], strict=True))
    results = [
        _Result(hypothesis, cached=True) if hypothesis else computed[ids]
        for ids, hypothesis in zip(pieces, cache_hits, strict=True)
    ]
    source = options.languages.source
    return await options.text.run(size, lambda: _decode_all(model.backend, plans, results, source, aligns=aligns))


async def _run_slice(
    model: LoadedGenerator,
    pieces: Sequence[tuple[TokenIds, int]],
    options: ModelRunOptions,
    inflight: InflightLimit,
    usage: Usage,
) -> list[_Result | Exception]:
    """Computes pieces, each given with the number of times it occurs, and returns the result of each, in order."""
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
            for ids, _ in pieces
        ]
        outcomes = await _wait_for_all(futures)
    results: list[_Result | Exception] = []
    for (ids, times), outcome in zip(pieces, outcomes, strict=True):
        if isinstance(outcome, TimedHypothesis):
            usage.count(outcome, len(ids), times)
            if model.cache and options.cached:
                model.cache.put(ids, options.decoding, outcome.hypothesis)
            results.append(_Result(outcome.hypothesis, cached=False))
        elif isinstance(outcome, (DeadlineExceeded, Unavailable)) or not isinstance(outcome, Exception):
            raise outcome
        else:
            results.append(outcome)
    return results


async def _wait_for_all(futures: Sequence[asyncio.Future[TimedHypothesis]]) -> list[TimedHypothesis | BaseException]:
    """Returns the result or error of each piece, in order. Withdraws all pieces if the caller is cancelled.

    A single future is awaited directly: most sentences are one piece, and a gather costs as much as queueing it.
    """
    try:
        if len(futures) > 1:
            return await asyncio.gather(*futures, return_exceptions=True)
        return [await future for future in futures]
    except Exception as error:  # noqa: BLE001 (the error of the single piece is its result)
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
        # A segment may contain line breaks (splitting OFF). No model reproduces them, so each line is a piece.
        lines = find_lines(text)
        if len(encoding.ids) <= limit and lines.spans == (TextSpan(0, len(text)),):
            plans.append(_Plan(lines, (encoding.ids,), unknown))
            continue
        if options.reject_overlong and len(encoding.ids) > limit:
            plans.append(
                OverlongSegment(
                    f"a segment has {len(encoding.ids)} tokens, but the model reads at most {limit}; "
                    "shorten the segment or set overlong_policy to SPLIT"
                )
            )
        else:
            plans.append(_divide(backend, lines, unknown, options.languages))
    return plans


def _divide(backend: GeneratorBackend, lines: Document, flags: tuple[Flag, ...], languages: LanguagePair) -> _Plan:
    """Divides a segment of one or more lines into pieces that fit into the model, and returns its plan.

    A piece never spans two lines. Parts without letters are no pieces and stay unchanged. The plan has the
    SEGMENT_SPLIT flag if a line was divided.
    """
    parts = [
        TextSpan(line.start + part.start, line.start + part.end)
        for line, text in zip(lines.spans, lines.segments, strict=True)
        for part in divide_segment(
            text, backend.limits.max_input_tokens - backend.limits.added_tokens, backend.token_starts
        )
    ]
    spans = [part for part in parts if needs_translation(lines.text[part.start : part.end])]
    document = Document(lines.text, tuple(spans))
    pieces = tuple(encoding.ids for encoding in backend.encode(document.segments, languages))
    return _Plan(document, pieces, (*flags, Flag.SEGMENT_SPLIT) if len(parts) > len(lines.spans) else flags)


def _decode_all(
    backend: GeneratorBackend,
    plans: Sequence[_Plan | OverlongSegment],
    results: Sequence[_Result | Exception],
    language: str,
    *,
    aligns: bool,
) -> list[SegmentOutput | Exception]:
    hypotheses = [result.hypothesis for result in results if isinstance(result, _Result)]
    ranked = [(hypothesis, *hypothesis.alternatives) for hypothesis in hypotheses]
    texts = iter(backend.decode([hypothesis.ids for row in ranked for hypothesis in row]))
    decoded = iter([[(next(texts), hypothesis) for hypothesis in row] for row in ranked])
    outputs: list[SegmentOutput | Exception] = []
    position = 0
    for plan in plans:
        if isinstance(plan, OverlongSegment):
            outputs.append(plan)
            continue
        segment_results = results[position : position + len(plan.pieces)]
        position += len(plan.pieces)
        pieces = [next(decoded) for result in segment_results if isinstance(result, _Result)]
        errors = [result for result in segment_results if isinstance(result, Exception)]
        if errors:
            outputs.append(errors[0])
            continue
        links = _link(backend, plan, [row[0][1] for row in pieces]) if aligns else None
        cached = bool(segment_results) and all(
            isinstance(result, _Result) and result.cached for result in segment_results
        )
        loses = _loses_clause(backend, plan, [row[0] for row in pieces], language)
        outputs.append(_join(plan, pieces, links, cached=cached, loses=loses))
    return outputs


def _loses_clause(
    backend: GeneratorBackend, plan: _Plan, pieces: Sequence[tuple[str, Hypothesis]], language: str
) -> bool:
    """Returns True if the output of a piece lacks a clause of its source, by its alignment.

    `language`: that of the source.
    """
    for ids, span, (text, hypothesis) in zip(plan.pieces, plan.document.spans, pieces, strict=True):
        if not hypothesis.alignment:
            continue
        aligned = {position for position, _ in hypothesis.alignment}
        if has_gap(len(ids), aligned):
            source = plan.document.text[span.start : span.end]
            if loses_clause(source, backend.token_spans(source), aligned, text, language):
                return True
    return False


def _join(
    plan: _Plan,
    pieces: Sequence[Sequence[tuple[str, Hypothesis]]],
    links: tuple[Link, ...] | None,
    *,
    cached: bool,
    loses: bool,
) -> SegmentOutput:
    """Joins the hypotheses of a segment's pieces into its output and alternatives.

    `pieces` holds for each piece its decoded texts with their hypotheses, best first. Alternative n joins hypothesis n
    of every piece, or the best one of a piece that has fewer.
    """
    flags = plan.flags
    if any(row[0][1].truncated for row in pieces):
        flags = (*flags, Flag.OUTPUT_TRUNCATED)
    if loses:
        flags = (*flags, Flag.MISSING_TEXT)
    if cached:
        flags = (*flags, Flag.CACHED)
    others = [_join_rank(plan, pieces, rank) for rank in range(1, max(map(len, pieces), default=1))]
    alternatives = tuple(Alternative(other.text, other.avg_log_prob) for other in others)
    return _join_rank(plan, pieces, 0, flags, alternatives, links)


def _link(backend: GeneratorBackend, plan: _Plan, hypotheses: Sequence[Hypothesis]) -> tuple[Link, ...]:
    """Links each output token of a segment to the span of the segment that it is aligned to.

    An output token that is aligned to an added token, such as the end token, gets no link.
    """
    decoded = [backend.decode_spans(hypothesis.ids) for hypothesis in hypotheses]
    rebuilt = rebuild_text(plan.document, [text for text, _ in decoded])
    links: list[Link] = []
    for hypothesis, source, target, (_, output_spans) in zip(
        hypotheses, plan.document.spans, rebuilt.spans, decoded, strict=True
    ):
        input_spans = backend.token_spans(plan.document.text[source.start : source.end])
        for (position, weight), (start, end) in zip(hypothesis.alignment, output_spans, strict=True):
            # A position beyond the text's own tokens is one that the backend added, such as the end token.
            if position < len(input_spans) and start < end and input_spans[position][0] < input_spans[position][1]:
                link = Link(TextSpan(*input_spans[position]), TextSpan(start, end), weight)
                links.append(shift_link(link, source.start, target.start))
    return tuple(links)


def _join_rank(
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
