"""The use case: texts in, translations out. Document to segments to route to backend to document.

Knows no gRPC and no model library. One bad item never fails its neighbours: what concerns an item is in its
result; only what is wrong with the request as a whole is raised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from latimer_server.backends.base import DecodingOptions
from latimer_server.errors import LatimerError, NotServed
from latimer_server.languages import Candidate, Detection, LanguageDetector, match_code
from latimer_server.models.catalog import Task
from latimer_server.models.pool import Pool
from latimer_server.models.routing import Route, describe_pairs, find_route, list_routes
from latimer_server.pieces import Output, PieceOptions, Usage, run_model
from latimer_server.scheduling import PieceWindow, Priority, off_loop
from latimer_server.text.checks import Flag, merge_flags
from latimer_server.text.segmentation import (
    Document,
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
class _Source:
    """The language of a content; "" where it has nothing to translate."""

    code: str
    detected: Candidate | None = None
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class _Job:
    """A content on its way into one target language."""

    document: Document
    route: Route
    outputs: list[Output | Exception]  # one for each segment


class FlaggedAsError(LatimerError):
    """A flag was raised that the caller turned into an error."""

    reason = "FLAGGED"


class Translator:
    """Translates requests with the models of a pool."""

    def __init__(self, pool: Pool, detector: LanguageDetector) -> None:
        self._pool = pool
        self._detector = detector

    async def translate(self, request: TranslateRequest) -> tuple[list[ItemResult], Usage]:
        """One result for each content, in order.

        Raises `NotServed` when the request gives a source and a target that no model serves, or names a
        model that there is not; `DeadlineExceeded` when its time is over.
        """
        if request.model:
            self._pool.catalog.get(request.model)
        for target in request.targets if request.source else ():
            self.require_route(request.source, target, request)
        contents, options = request.contents, request.options
        size = sum(map(len, contents))
        usage = Usage(characters=size * len(request.targets))
        sources = await off_loop(size, lambda: [self._find_source(request, content) for content in contents])
        documents = await off_loop(
            size,
            lambda: [
                segment_text(content, options.splitting, source.code)
                for content, source in zip(contents, sources, strict=True)
            ],
        )
        jobs = [
            [self._start_job(request, source, target, document) for target in request.targets]
            for source, document in zip(sources, documents, strict=True)
        ]
        await self._run_jobs(request, [job for row in jobs for job in row if isinstance(job, _Job)], usage)
        return await off_loop(
            size,
            lambda: [
                ItemResult(tuple(_finish(job, source.flags, request) for job in row), source.detected)
                for row, source in zip(jobs, sources, strict=True)
            ],
        ), usage

    async def detect(self, contents: Sequence[str], candidates: Sequence[str]) -> list[Detection]:
        """The languages of each text, among `candidates` where there are any."""
        return await asyncio.to_thread(lambda: [self._detector.detect(text, candidates) for text in contents])

    def routes(self) -> list[Route]:
        """Every pair that is served, and by which models."""
        return list_routes(self._pool.usable(Task.TRANSLATION))

    def require_route(self, source: str, target: str, request: TranslateRequest | None = None) -> None:
        """Raises `NotServed`, naming what is served, when no model translates this pair."""
        if not match_code(source, [target]):
            self._find_route(request or TranslateRequest((), source, (target,)), source, target)

    def _find_source(self, request: TranslateRequest, content: str) -> _Source:
        """The language of a content. A detection that is not reliable takes the fallback, else the likeliest
        language that can be translated from: short texts are often of a served language."""
        if request.source:
            return _Source(request.source)
        found = self._detector.detect(content, request.options.candidates)
        if found.reliable or not found.candidates:
            return _Source(found.best.code if found.candidates else "", found.best)
        doubt = (Flag.LOW_LANGUAGE_CONFIDENCE,)
        if request.options.fallback:
            return _Source(request.options.fallback, found.best, doubt)
        served = sorted({route.source for route in self.routes()})
        if served and not request.options.candidates:
            found = self._detector.detect(content, served)
        return _Source(found.best.code, found.best, doubt)

    def _find_route(self, request: TranslateRequest, source: str, target: str) -> Route:
        entries = self._pool.usable(Task.TRANSLATION)
        if request.model:
            named = self._pool.catalog.get(request.model)
            entries = [named] if named.task is Task.TRANSLATION else []
        allow_pivot = not request.options.disable_pivot and not request.model
        route = find_route(entries, source, target, allow_pivot=allow_pivot)
        if route is None:
            served = describe_pairs(list_routes(entries))
            by_model = f" by model {request.model}" if request.model else ""
            raise NotServed(f"language pair {source}->{target} is not served{by_model}; served: {served}")
        return route

    def _start_job(
        self, request: TranslateRequest, source: _Source, target: str, document: Document
    ) -> _Job | Translation:
        """A job, or the translation where there is nothing to do or nothing that can do it."""
        if not source.code or match_code(source.code, [target]):
            return Translation(document.text, target, flags=(Flag.PASSTHROUGH,))
        try:
            route = self._find_route(request, source.code, target)
        except NotServed as error:
            return Translation("", target, error=error)
        passing = [Output(segment, flags=(Flag.PASSTHROUGH,)) for segment in document.segments]
        return _Job(document, route, list(passing))

    async def _run_jobs(self, request: TranslateRequest, jobs: Sequence[_Job], usage: Usage) -> None:
        """Takes the segments of all jobs through their models, those of one route together."""
        across_lines = request.options.splitting is Splitting.SENTENCES_ACROSS_LINES
        waiting: dict[Route, list[tuple[_Job, int, str]]] = {}
        for job in jobs:
            usage.segments += len(job.outputs)
            for index, segment in enumerate(job.document.segments):
                if needs_translation(segment):
                    text = join_lines(segment) if across_lines else segment
                    waiting.setdefault(job.route, []).append((job, index, text))
        window = PieceWindow(_WINDOW_PIECES)

        async def run_chunk(route: Route, chunk: Sequence[tuple[_Job, int, str]]) -> None:
            async with window.hold(len(chunk)):
                outputs = await self._run_route(route, [text for _, _, text in chunk], request, usage)
            for (job, index, _), output in zip(chunk, outputs, strict=True):
                job.outputs[index] = output

        await _gather_or_cancel(
            run_chunk(route, segments[start : start + _CHUNK_SEGMENTS])
            for route, segments in waiting.items()
            for start in range(0, len(segments), _CHUNK_SEGMENTS)
        )

    async def _run_route(
        self, route: Route, texts: Sequence[str], request: TranslateRequest, usage: Usage
    ) -> list[Output | Exception]:
        """Takes texts through every model of a route; what fails at one goes no further."""
        options = request.options
        pieces = PieceOptions(options.decoding, options.reject_overlong, request.priority, request.deadline)
        pivoted = (Flag.PIVOTED,) if len(route.models) > 1 else ()
        results: list[Output | Exception] = [Output(text, flags=pivoted) for text in texts]
        for name in route.models:
            try:
                model = await self._pool.load_translating(name)
            except NotServed as error:
                return [error] * len(texts)
            going = [(index, result) for index, result in enumerate(results) if isinstance(result, Output)]
            outputs = await run_model(model, [result.text for _, result in going], pieces, usage)
            for (index, result), output in zip(going, outputs, strict=True):
                results[index] = result.followed_by(output) if isinstance(output, Output) else output
        return results


def _finish(job: _Job | Translation, flags: tuple[Flag, ...], request: TranslateRequest) -> Translation:
    """The translation that a job came to, with the flags of its source, or the error that it met."""
    translation = job if isinstance(job, Translation) else _assemble(job, request.options.splitting)
    if translation.error:
        return translation
    merged = merge_flags([translation.flags, flags])
    raised = [flag.name for flag in merged if flag in request.options.error_flags]
    if raised:
        error = FlaggedAsError(f"raised {', '.join(raised)}, which error_flags makes an error")
        return Translation("", translation.target, error=error)
    return replace(translation, flags=merged)


def _assemble(job: _Job, splitting: Splitting) -> Translation:
    """The translated document, with its segments and what is said about the whole."""
    failed = [output for output in job.outputs if isinstance(output, Exception)]
    if failed:
        return Translation("", job.route.target, error=_name_error(failed[0], job.route))
    outputs = [output for output in job.outputs if isinstance(output, Output)]
    rebuilt = rebuild_text(
        job.document, [output.text for output in outputs], join=splitting is Splitting.SENTENCES_ACROSS_LINES
    )
    segments = tuple(
        SegmentTranslation(source, target, output.text, output.avg_log_prob, merge_flags([output.flags]))
        for source, target, output in zip(job.document.spans, rebuilt.spans, outputs, strict=True)
    )
    log_probs = [value for output in outputs for value in output.log_probs]
    return Translation(
        rebuilt.text,
        job.route.target,
        avg_log_prob=sum(log_probs) / len(log_probs) if log_probs else 0.0,
        flags=merge_flags([output.flags for output in outputs] or [[Flag.PASSTHROUGH]]),
        segments=segments,
        models=job.route.models,
    )


def _name_error(error: Exception, route: Route) -> LatimerError:
    """An item's error as its caller may see it; a defect of ours goes to the log."""
    if isinstance(error, LatimerError):
        return error
    _log.error("item failed", exc_info=error, extra={"models": "+".join(route.models)})
    return LatimerError("internal error")


async def _gather_or_cancel(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Waits for all; when one fails or the caller goes, the others are cancelled and waited for."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
