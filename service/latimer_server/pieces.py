"""Takes segments through one model: encodes them, divides what is too long, queues the pieces, decodes.

Knows a loaded model and its queue; nothing of documents, routes or languages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from latimer_server.backends.base import (
    DecodingOptions,
    GeneratorBackend,
    Hypothesis,
    LanguagePair,
    TokenIds,
)
from latimer_server.errors import DeadlineExceeded, LatimerError, Unavailable
from latimer_server.models.loaded import LoadedGenerator
from latimer_server.scheduling import Outcome, PieceWindow, Priority, gather_or_cancel, off_loop
from latimer_server.text.alignment import Link, shift_link
from latimer_server.text.checks import Flag
from latimer_server.text.segmentation import (
    Document,
    TextSpan,
    divide_segment,
    find_lines,
    needs_translation,
    rebuild_text,
)


class OverlongSegment(LatimerError):
    """A segment is longer than the model reads, and the caller asked for an error then."""

    reason = "SEGMENT_OVERLONG"


# Pieces that enter the queue together.
_SLICE_PIECES = 256


@dataclass(frozen=True)
class PieceOptions:
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
class Alternative:
    """Another output of a segment, and the mean log-probability of its tokens."""

    text: str
    avg_log_prob: float


@dataclass(frozen=True)
class Output:
    """A segment's output, the log-probability of its tokens over all models so far, and its flags.
    `alternatives`: the last model's, the best first. `protected`: where the source's protected spans stand now, in
    the source's order. `links`: which words answer which, where that was asked for and the model knows."""

    text: str
    log_prob: float = 0.0
    token_count: int = 0
    flags: tuple[Flag, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    protected: tuple[TextSpan, ...] = ()
    links: tuple[Link, ...] | None = None

    @property
    def avg_log_prob(self) -> float:
        """The mean over its tokens; 0 where no model ran."""
        return average_log_prob([self])

    def followed_by(self, later: Output) -> Output:
        """The output of the next model on this one's text, with what this one said. It came from the cache if all of
        it did."""
        flags = self.flags + later.flags
        if not all(Flag.CACHED in one.flags for one in (self, later) if one.token_count):
            flags = tuple(flag for flag in flags if flag is not Flag.CACHED)
        return Output(
            later.text,
            self.log_prob + later.log_prob,
            self.token_count + later.token_count,
            flags,
            later.alternatives,
            later.protected,
            later.links,
        )


def average_log_prob(outputs: Iterable[Output]) -> float:
    """The mean natural log-probability of all tokens of the outputs; 0 where there are none."""
    total, count = 0.0, 0
    for output in outputs:
        total, count = total + output.log_prob, count + output.token_count
    return total / count if count else 0.0


@dataclass
class Usage:
    """What a request cost; seconds for the times. `waited` is the sum over `pieces`. `cached_segments` are those of
    `segments` that cost nothing."""

    characters: int = 0
    segments: int = 0
    cached_segments: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    pieces: int = 0
    waited: float = 0.0
    started: float = field(default=float("inf"))
    ended: float = 0.0

    def count(self, outcome: Outcome, input_tokens: int) -> None:
        """Adds one piece."""
        self.pieces += 1
        self.input_tokens += input_tokens
        self.output_tokens += len(outcome.hypothesis.ids)
        self.waited += outcome.started - outcome.queued
        self.started = min(self.started, outcome.started)
        self.ended = max(self.ended, outcome.ended)

    def add(self, other: Usage) -> None:
        """Adds what another request cost for this one; characters and segments were counted here already."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.pieces += other.pieces
        self.waited += other.waited
        self.started = min(self.started, other.started)
        self.ended = max(self.ended, other.ended)

    @property
    def queue_seconds(self) -> float:
        """How long a piece waited, on average."""
        return self.waited / self.pieces if self.pieces else 0.0

    @property
    def compute_seconds(self) -> float:
        """From the first batch to the end of the last."""
        return max(0.0, self.ended - self.started) if self.pieces else 0.0


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
    model: LoadedGenerator, texts: Sequence[str], options: PieceOptions, window: PieceWindow, usage: Usage
) -> list[Output | Exception]:
    """For each text, in order, its output or what went wrong with it alone.

    Its pieces enter the queue as `window` has room, unless the cache knows them. Raises `DeadlineExceeded` and
    `Unavailable`, which concern all texts, and `Overloaded` where the cache does not know all of them, nothing of the
    request was begun and its deadline leaves no time for the wait. When it ends, however it ends, none of its pieces
    stays queued.
    """
    size = sum(map(len, texts))
    plans = await off_loop(size, lambda: _plan_all(model.backend, texts, options))
    pieces = [ids for plan in plans if isinstance(plan, _Plan) for ids in plan.pieces]
    decoding = options.decoding.giving(options.decoding.hypothesis_count, target=options.languages.target)
    options = options if decoding is options.decoding else replace(options, decoding=decoding)
    cache = model.cache if options.cached else None
    known = [cache.get(ids, options.decoding) if cache else None for ids in pieces]
    missing = [ids for ids, hypothesis in zip(pieces, known, strict=True) if hypothesis is None]
    begins = not usage.pieces and window.is_empty
    if missing and cache is not None and begins and options.priority is Priority.INTERACTIVE:
        # Where there is no cache this was asked before the text was looked at.
        model.queue.require_time(options.deadline, options.priority, _name_caller(options, window))
    slices = [missing[start : start + _SLICE_PIECES] for start in range(0, len(missing), _SLICE_PIECES)]
    parts = await gather_or_cancel(_run_slice(model, part, options, window, usage) for part in slices)
    computed = iter([result for part in parts for result in part])
    results = [_Result(hypothesis, cached=True) if hypothesis else next(computed) for hypothesis in known]
    aligns = options.decoding.alignment and model.entry.guided_alignment
    return await off_loop(size, lambda: _decode_all(model.backend, plans, results, aligns=aligns))


async def _run_slice(
    model: LoadedGenerator, pieces: Sequence[TokenIds], options: PieceOptions, window: PieceWindow, usage: Usage
) -> list[_Result | Exception]:
    async with window.hold(len(pieces)):
        futures = [
            model.queue.submit(
                ids,
                options.decoding,
                priority=options.priority,
                deadline=options.deadline,
                caller=_name_caller(options, window),
                request=window,
            )
            for ids in pieces
        ]
        results = await _wait_for_all(futures)
    kept: list[_Result | Exception] = []
    for ids, result in zip(pieces, results, strict=True):
        if isinstance(result, Outcome):
            usage.count(result, len(ids))
            if model.cache and options.cached:
                model.cache.put(ids, options.decoding, result.hypothesis)
            kept.append(_Result(result.hypothesis, cached=False))
        elif isinstance(result, (DeadlineExceeded, Unavailable)) or not isinstance(result, Exception):
            raise result
        else:
            kept.append(result)
    return kept


async def _wait_for_all(futures: Sequence[asyncio.Future[Outcome]]) -> list[Outcome | BaseException]:
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


def _name_caller(options: PieceOptions, window: PieceWindow) -> Hashable:
    return window if options.caller is None else options.caller


def _plan_all(backend: GeneratorBackend, texts: Sequence[str], options: PieceOptions) -> list[_Plan | OverlongSegment]:
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
) -> list[Output | Exception]:
    done = [result.hypothesis for result in results if isinstance(result, _Result)]
    ranked = [(hypothesis, *hypothesis.alternatives) for hypothesis in done]
    texts = iter(backend.decode([hypothesis.ids for row in ranked for hypothesis in row]))
    decoded = iter([[(next(texts), hypothesis) for hypothesis in row] for row in ranked])
    outputs: list[Output | Exception] = []
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
) -> Output:
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
) -> Output:
    chosen = [row[rank] if rank < len(row) else row[0] for row in pieces]
    return Output(
        rebuild_text(plan.document, [text for text, _ in chosen]).text,
        sum(hypothesis.log_prob for _, hypothesis in chosen),
        sum(hypothesis.token_count for _, hypothesis in chosen),
        flags,
        alternatives,
        links=links,
    )
