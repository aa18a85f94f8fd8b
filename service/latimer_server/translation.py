"""The use case: texts in, translations out. Document to segments to route to backend to document.

Knows no gRPC and no model library. One bad item never fails its neighbours: what concerns an item is in its
result; only what is wrong with the request as a whole is raised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from latimer_server.backends.base import DecodingOptions
from latimer_server.errors import InvalidRequest, LatimerError, NotServed, Violation
from latimer_server.languages import UNDETERMINED, Candidate, Detection, LanguageDetector, match_code
from latimer_server.models.catalog import CatalogEntry, Task
from latimer_server.models.pool import Pool
from latimer_server.models.routing import Route, RouteMap
from latimer_server.pieces import Alternative, Output, PieceOptions, Usage, average_log_prob, run_model
from latimer_server.scheduling import PieceWindow, Priority, gather_or_cancel, off_loop, weigh_texts
from latimer_server.text.checks import Flag, merge_flags
from latimer_server.text.segmentation import (
    Document,
    Rebuilt,
    Splitting,
    TextSpan,
    join_lines,
    needs_translation,
    rebuild_text,
    segment_text,
)

_log = logging.getLogger(__name__)

# Segments, of whatever texts, encoded and queued together: enough to fill batches of like lengths.
_CHUNK_SEGMENTS = 256
# Chunks of one route in work at once: while one is decoded the next are computed.
_CHUNKS_AT_ONCE = 8
# A doubtful text is taken to be in its target language already if that is this many times as likely as the
# next language.
_CLEARLY = 5.0
# More would be an answer of gigabytes: a request of the largest size in ordinary text has 16,000 a target.
MAX_RETURNED_SEGMENTS = 300_000
# Pieces that one request may have in the queues.
_WINDOW_PIECES = 1_024


@dataclass(frozen=True)
class TranslateOptions:
    """How to translate; the contract's TranslateOptions says what each means and defaults to."""

    splitting: Splitting = Splitting.SENTENCES
    reject_overlong: bool = False
    decoding: DecodingOptions = DecodingOptions()
    disable_pivot: bool = False
    candidates: tuple[str, ...] = ()
    fallback: str = ""
    error_flags: frozenset[Flag] = frozenset()
    include_segments: bool = False
    alternative_count: int = 0

    @property
    def returns_segments(self) -> bool:
        """Whether segments are returned: alternatives are theirs."""
        return self.include_segments or self.alternative_count > 0


@dataclass(frozen=True)
class TranslateRequest:
    """Texts and what to make of them. `source` "" detects; `deadline` is a reading of the monotonic clock."""

    contents: tuple[str, ...]
    source: str
    targets: tuple[str, ...]
    model: str = ""
    options: TranslateOptions = TranslateOptions()
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None


@dataclass(frozen=True)
class SegmentTranslation:
    """A segment: where it stands in the content and in the translation, and what came out."""

    source_span: TextSpan
    target_span: TextSpan
    text: str
    avg_log_prob: float
    flags: tuple[Flag, ...]
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Translation:
    """One content in one target language, or the error that it met."""

    text: str
    target: str
    avg_log_prob: float = 0.0
    flags: tuple[Flag, ...] = ()
    segments: tuple[SegmentTranslation, ...] = ()
    models: tuple[str, ...] = ()
    error: LatimerError | None = None


@dataclass(frozen=True)
class ItemResult:
    """What became of one content. `detected` is None when the request gave the language."""

    translations: tuple[Translation, ...]
    detected: Candidate | None = None


@dataclass(frozen=True)
class Source:
    """The language of a content; "" where it has nothing to translate."""

    code: str
    detected: Candidate | None = None
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class _Job:
    """A content on its way into one target language. `outputs`: of its segments that need a model."""

    document: Document
    route: Route
    wanted: tuple[int, ...]
    outputs: dict[int, Output | Exception]


class FlaggedAsError(LatimerError):
    """A flag was raised that the caller turned into an error."""

    reason = "FLAGGED"


class Translator:
    """Translates requests with the models of a pool."""

    def __init__(self, pool: Pool, detector: LanguageDetector, *, pivoting: bool = True) -> None:
        self._pool = pool
        self._detector = detector
        self._usable: Sequence[CatalogEntry] = ()
        self._routes = RouteMap((), pivoting=pivoting)

    async def translate(self, request: TranslateRequest) -> tuple[list[ItemResult], Usage]:
        """One result for each content, in order.

        Raises `NotServed` when the request gives a source and a target that no model serves, or names a
        model that there is not; `DeadlineExceeded` when its time is over.
        """
        if request.model:
            self._pool.catalog.get(request.model)
        for target in request.targets if request.source else ():
            self.require_route(request.source, target, request)
        usage = Usage(characters=sum(map(len, request.contents)) * len(request.targets))
        work = weigh_texts(request.contents) * len(request.targets)
        sources = await off_loop(work, lambda: self.find_sources(request))
        jobs = await off_loop(work, lambda: self._start_jobs(request, sources))
        usage.segments = sum(len(job.document.spans) for row in jobs for job in row if isinstance(job, _Job))
        _check_size(request.options, usage.segments)
        # A target that is named twice is one job.
        unique = {id(job): job for row in jobs for job in row if isinstance(job, _Job)}
        await self._run_jobs(request, list(unique.values()), usage)
        return await off_loop(
            work,
            lambda: [
                ItemResult(tuple(_finish(job, source.flags, request.options) for job in row), source.detected)
                for row, source in zip(jobs, sources, strict=True)
            ],
        ), usage

    async def detect(self, contents: Sequence[str], candidates: Sequence[str]) -> list[Detection]:
        """The languages of each text, among `candidates` where there are any."""
        return await asyncio.to_thread(lambda: [self._detector.detect(text, candidates) for text in contents])

    @property
    def routes(self) -> RouteMap:
        """The routes through the models that can be asked now, except those that must be named."""
        usable = self._pool.usable(Task.TRANSLATION)
        if self._usable is not usable:
            self._usable = usable
            free = [entry for entry in usable if not entry.noncommercial]
            self._routes = RouteMap(free, pivoting=self._routes.pivoting)
        return self._routes

    def require_route(self, source: str, target: str, request: TranslateRequest | None = None) -> None:
        """Raises `NotServed`, naming what is served, when no model translates this pair."""
        if not match_code(source, [target]):
            self._find_route(request or TranslateRequest((), source, (target,)), source, target)

    def find_sources(self, request: TranslateRequest) -> list[Source]:
        """The language of each content: as given, or as detected.

        A detection that is not reliable takes the fallback, else the likeliest language that can be
        translated: short texts are often of a served language.
        """
        if request.source:
            return [Source(request.source)] * len(request.contents)
        asks = not request.options.fallback and not request.options.candidates
        likely = sorted({*self.routes.sources, *request.targets}) if asks else []
        return [self._find_source(request, content, likely) for content in request.contents]

    def _find_source(self, request: TranslateRequest, content: str, likely: Sequence[str]) -> Source:
        if not needs_translation(content):
            return Source("", Candidate(UNDETERMINED, 0.0))
        found = self._detector.detect(content, request.options.candidates)
        if found.reliable:
            return Source(found.best.code, found.best)
        doubt = (Flag.LOW_LANGUAGE_CONFIDENCE,)
        if request.options.fallback:
            return Source(request.options.fallback, found.best, doubt)
        if likely:
            found = self._detector.detect(content, likely, only=False)
            if len(found.candidates) > 1 and all(match_code(found.best.code, [target]) for target in request.targets):
                # Left as it is only where it is clearly in the target language already.
                first, second = found.candidates[:2]
                best = first if first.confidence > _CLEARLY * second.confidence else second
                return Source(best.code, best, doubt)
        return Source(found.best.code, found.best, doubt)

    def _find_route(self, request: TranslateRequest, source: str, target: str) -> Route:
        routes = self.routes
        if request.model:
            named = self._pool.get_entry(request.model)
            routes = RouteMap([named] if named.task is Task.TRANSLATION else [], pivoting=False)
        route = routes.find(source, target, allow_pivot=not request.options.disable_pivot)
        if route is None:
            by_model = f" by model {request.model}" if request.model else ""
            raise NotServed(f"language pair {source}->{target} is not served{by_model}; served: {routes.describe()}")
        return route

    def _start_jobs(self, request: TranslateRequest, sources: Sequence[Source]) -> list[list[_Job | Translation]]:
        """For each content and target a job, or the translation where there is nothing to do or nothing that
        can do it."""
        routes: dict[tuple[str, str], Route | NotServed] = {}
        rows: list[list[_Job | Translation]] = []
        for content, source in zip(request.contents, sources, strict=True):
            document = segment_text(content, request.options.splitting, source.code)
            wanted = tuple(i for i, segment in enumerate(document.segments) if needs_translation(segment))
            started: dict[str, _Job | Translation] = {}
            for target in dict.fromkeys(request.targets):
                if not source.code or match_code(source.code, [target]):
                    started[target] = Translation(content, target, flags=(Flag.PASSTHROUGH,))
                    continue
                pair = (source.code, target)
                if pair not in routes:
                    routes[pair] = self._try_route(request, *pair)
                route = routes[pair]
                if isinstance(route, NotServed):
                    started[target] = Translation("", target, error=route)
                else:
                    started[target] = _Job(document, route, wanted, {})
            rows.append([started[target] for target in request.targets])
        return rows

    def _try_route(self, request: TranslateRequest, source: str, target: str) -> Route | NotServed:
        try:
            return self._find_route(request, source, target)
        except NotServed as error:
            return error

    async def _run_jobs(self, request: TranslateRequest, jobs: Sequence[_Job], usage: Usage) -> None:
        """Takes the segments of all jobs through their models, those of one route together."""
        options = request.options
        across_lines = options.splitting is Splitting.SENTENCES_ACROSS_LINES
        pieces = PieceOptions(
            replace(options.decoding, hypothesis_count=1 + options.alternative_count),
            options.reject_overlong,
            request.priority,
            request.deadline,
            caller=object(),
        )
        window = PieceWindow(_WINDOW_PIECES)

        async def run_chunk(route: Route, chunk: Sequence[tuple[_Job, int]]) -> None:
            spans = [(job, job.document.spans[index]) for job, index in chunk]
            texts = [job.document.text[span.start : span.end] for job, span in spans]
            if across_lines:
                texts = [join_lines(text) for text in texts]
            outputs = await self._run_route(route, texts, pieces, window, usage)
            for (job, index), output in zip(chunk, outputs, strict=True):
                job.outputs[index] = output

        by_route: dict[Route, list[_Job]] = {}
        for job in jobs:
            by_route.setdefault(job.route, []).append(job)
        await gather_or_cancel(
            self._run_chunks(((job, index) for job in mine for index in job.wanted), partial(run_chunk, route))
            for route, mine in by_route.items()
        )

    @staticmethod
    async def _run_chunks(
        segments: Iterator[tuple[_Job, int]],
        run_chunk: Callable[[Sequence[tuple[_Job, int]]], Coroutine[Any, Any, None]],
    ) -> None:
        """Runs segments chunk by chunk, a few chunks at once, so that a request of any size is fed through."""

        async def feed() -> None:
            while chunk := list(islice(segments, _CHUNK_SEGMENTS)):
                await run_chunk(chunk)

        await gather_or_cancel(feed() for _ in range(_CHUNKS_AT_ONCE))

    async def _run_route(
        self, route: Route, texts: Sequence[str], pieces: PieceOptions, window: PieceWindow, usage: Usage
    ) -> list[Output | Exception]:
        """Takes texts through every model of a route; what fails at one goes no further."""
        pivoted = (Flag.PIVOTED,) if len(route.models) > 1 else ()
        results: list[Output | Exception] = [Output(text, flags=pivoted) for text in texts]
        last = len(route.models) - 1
        for hop, (name, languages) in enumerate(zip(route.models, route.hops, strict=True)):
            going = [(index, result) for index, result in enumerate(results) if isinstance(result, Output)]
            asked = [result.text for _, result in going]
            try:
                # Alternatives are the last model's: what an earlier one might also have said is never read.
                wanted = pieces.decoding.hypothesis_count if hop == last else 1
                decoding = replace(pieces.decoding, hypothesis_count=wanted)
                mine = replace(pieces, languages=languages, decoding=decoding)
                outputs = await self._run_hop(name, asked, mine, window, usage)
            except NotServed as error:
                return [error] * len(texts)
            for (index, result), output in zip(going, outputs, strict=True):
                results[index] = result.followed_by(output) if isinstance(output, Output) else output
        return results

    async def _run_hop(
        self, name: str, texts: Sequence[str], pieces: PieceOptions, window: PieceWindow, usage: Usage
    ) -> list[Output | Exception]:
        """Takes texts through one model. Here, so that nothing refers to it while the next is waited for."""
        async with self._pool.hold_generator(name) as model:
            return await run_model(model, texts, pieces, window, usage)


def _check_size(options: TranslateOptions, segments: int) -> None:
    """Raises `InvalidRequest` where an answer would be too large."""
    if options.alternative_count and segments * (1 + options.alternative_count) > MAX_RETURNED_SEGMENTS:
        rule = f"would return {segments} segments and {options.alternative_count} alternatives of each"
        raise InvalidRequest(
            Violation("options.alternative_count", f"{rule}; at most {MAX_RETURNED_SEGMENTS} together")
        )
    if options.include_segments and segments > MAX_RETURNED_SEGMENTS:
        rule = f"would return {segments} segments; at most {MAX_RETURNED_SEGMENTS}"
        raise InvalidRequest(Violation("options.include_segments", rule))


def _finish(job: _Job | Translation, flags: tuple[Flag, ...], options: TranslateOptions) -> Translation:
    """The translation that a job came to, with the flags of its source, or the error that it met."""
    translation = job if isinstance(job, Translation) else _assemble(job, options)
    if translation.error:
        return translation
    merged = merge_flags([translation.flags, flags])
    raised = [flag.name for flag in merged if flag in options.error_flags]
    if raised:
        error = FlaggedAsError(f"raised {', '.join(raised)}, which error_flags makes an error")
        return Translation("", translation.target, error=error)
    return replace(translation, flags=merged)


def _assemble(job: _Job, options: TranslateOptions) -> Translation:
    """The translated document, with its segments where they are wanted and what is said about the whole."""
    failed = [output for output in job.outputs.values() if isinstance(output, Exception)]
    if failed:
        return Translation("", job.route.target, error=_name_error(failed[0], job.route))
    done = {index: output for index, output in job.outputs.items() if isinstance(output, Output)}
    document = job.document
    texts = [done[i].text if i in done else segment for i, segment in enumerate(document.segments)]
    rebuilt = rebuild_text(document, texts, join=options.splitting is Splitting.SENTENCES_ACROSS_LINES)
    passing = (Flag.PASSTHROUGH,) if len(done) < len(texts) or not texts else ()
    return Translation(
        rebuilt.text,
        job.route.target,
        avg_log_prob=average_log_prob(done.values()),
        flags=merge_flags([passing, *(output.flags for output in done.values())]),
        segments=_describe_segments(document, rebuilt, done) if options.returns_segments else (),
        models=job.route.models,
    )


def _describe_segments(
    document: Document, rebuilt: Rebuilt, outputs: Mapping[int, Output]
) -> tuple[SegmentTranslation, ...]:
    segments = []
    for index, (source, target) in enumerate(zip(document.spans, rebuilt.spans, strict=True)):
        output = outputs.get(index) or Output(rebuilt.text[target.start : target.end], flags=(Flag.PASSTHROUGH,))
        segments.append(
            SegmentTranslation(
                source,
                target,
                output.text,
                output.avg_log_prob,
                merge_flags([output.flags]),
                _tell_apart(output),
            )
        )
    return tuple(segments)


def _tell_apart(output: Output) -> tuple[Alternative, ...]:
    """The alternatives, those left out that read as the output or a better alternative does: token ids may differ
    where the text does not."""
    first = {other.text: other for other in reversed(output.alternatives)}
    return tuple(other for other in output.alternatives if other.text != output.text and first[other.text] is other)


def _name_error(error: Exception, route: Route) -> LatimerError:
    """An item's error as its caller may see it; a defect of ours goes to the log."""
    if isinstance(error, LatimerError):
        return error
    _log.error("item failed", exc_info=error, extra={"models": "+".join(route.models)})
    return LatimerError("internal error")
