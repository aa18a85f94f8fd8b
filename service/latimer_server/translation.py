"""The use case: texts in, translations out. Document to segments to route to backend to document.

Knows no gRPC and no model library. One bad item never fails its neighbours: what concerns an item is in its
result; only what is wrong with the request as a whole is raised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from latimer_server.backends.base import DecodingOptions
from latimer_server.errors import DeadlineExceeded, LatimerError, NotServed
from latimer_server.languages import Candidate, Detection, LanguageDetector, match_code
from latimer_server.models.catalog import Task
from latimer_server.models.pool import Pool
from latimer_server.models.routing import Route, describe_pairs, find_route, list_routes
from latimer_server.pieces import Output, PieceOptions, Usage, off_loop, run_model
from latimer_server.scheduling import PieceWindow, Priority
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

# Segments encoded and queued together: enough to fill batches of like lengths, few enough to stay fair.
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
        routes: dict[str, Route] = {}
        if request.source:
            routes = {
                target: self._find_route(request, request.source, target)
                for target in request.targets
                if not match_code(request.source, [target])
            }
        elif request.model:
            self._pool.catalog.get(request.model)
        usage = Usage()
        window = PieceWindow(_WINDOW_PIECES)
        work = (self._translate_item(request, content, routes, usage, window) for content in request.contents)
        tasks = [asyncio.ensure_future(item) for item in work]
        try:
            return list(await asyncio.gather(*tasks)), usage
        except BaseException:
            for task in tasks:
                task.cancel()
            raise

    async def detect(self, contents: Sequence[str], candidates: Sequence[str]) -> list[Detection]:
        """The languages of each text, among `candidates` where there are any."""
        return await asyncio.to_thread(lambda: [self._detector.detect(text, candidates) for text in contents])

    def routes(self) -> list[Route]:
        """Every pair that is served, and by which models."""
        return list_routes(self._pool.usable(Task.TRANSLATION))

    def require_route(self, source: str, target: str) -> None:
        """Raises `NotServed`, naming what is served, when no model translates this pair."""
        if not match_code(source, [target]):
            self._find_route(TranslateRequest((), source, (target,)), source, target)

    async def _translate_item(
        self, request: TranslateRequest, content: str, routes: dict[str, Route], usage: Usage, window: PieceWindow
    ) -> ItemResult:
        source: str = request.source
        detected: Candidate | None = None
        flags: tuple[Flag, ...] = ()
        usage.characters += len(content) * len(request.targets)
        if not source and needs_translation(content):
            source, detected, flags = await self._detect_source(request, content)
        elif not source:
            detected = Detection((), reliable=False).best
        translations = await asyncio.gather(
            *(
                self._translate_to(request, content, source, target, flags, routes.get(target), usage, window)
                for target in request.targets
            )
        )
        return ItemResult(tuple(translations), detected)

    async def _detect_source(self, request: TranslateRequest, content: str) -> tuple[str, Candidate, tuple[Flag, ...]]:
        """The source language to use. A detection that is not reliable takes the fallback, else the
        likeliest language that can be translated from: short texts are often of a served language."""
        options = request.options
        found = (await self.detect([content], options.candidates))[0]
        if found.reliable:
            return found.best.code, found.best, ()
        flags = (Flag.LOW_LANGUAGE_CONFIDENCE,)
        if options.fallback:
            return options.fallback, found.best, flags
        served = sorted({route.source for route in self.routes()})
        if served and not options.candidates:
            likeliest = (await self.detect([content], served))[0].best
            return likeliest.code, likeliest, flags
        return found.best.code, found.best, flags

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

    async def _translate_to(
        self,
        request: TranslateRequest,
        content: str,
        source: str,
        target: str,
        flags: tuple[Flag, ...],
        route: Route | None,
        usage: Usage,
        window: PieceWindow,
    ) -> Translation:
        if not source or match_code(source, [target]):
            return Translation(content, target, flags=merge_flags([flags, [Flag.PASSTHROUGH]]))
        try:
            route = route or self._find_route(request, source, target)
            translation = await self._translate_document(request, content, route, usage, window)
            merged = merge_flags([translation.flags, flags])
            raised = [flag.name for flag in merged if flag in request.options.error_flags]
            if raised:
                raise FlaggedAsError(f"raised {', '.join(raised)}, which error_flags makes an error")
            return replace(translation, flags=merged)
        except DeadlineExceeded:
            raise
        except LatimerError as error:
            return Translation("", target, error=error)
        except Exception as error:  # noqa: BLE001 (one item's failure is its own)
            _log.exception("item failed", extra={"models": route.models if route else ()})
            internal = LatimerError("internal error")
            internal.__cause__ = error
            return Translation("", target, error=internal)

    async def _translate_document(
        self, request: TranslateRequest, content: str, route: Route, usage: Usage, window: PieceWindow
    ) -> Translation:
        splitting = request.options.splitting
        document = await off_loop(len(content), lambda: segment_text(content, splitting, route.source))
        segments = document.segments
        usage.segments += len(segments)
        chunks = [segments[i : i + _CHUNK_SEGMENTS] for i in range(0, len(segments), _CHUNK_SEGMENTS)]
        tasks = [asyncio.ensure_future(self._translate_chunk(request, c, route, usage, window)) for c in chunks]
        try:
            decoded = [item for chunk in await asyncio.gather(*tasks) for item in chunk]
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        return await off_loop(len(content), lambda: _assemble(document, decoded, route, splitting))

    async def _translate_chunk(
        self, request: TranslateRequest, segments: list[str], route: Route, usage: Usage, window: PieceWindow
    ) -> list[Output]:
        """Takes segments through every model of the route; those with nothing to translate pass through."""
        decoded = [Output(segment, flags=(Flag.PASSTHROUGH,)) for segment in segments]
        wanted = [index for index, segment in enumerate(segments) if needs_translation(segment)]
        if not wanted:
            return decoded
        options = request.options
        pieces = PieceOptions(options.decoding, options.reject_overlong, request.priority, request.deadline)
        across_lines = options.splitting is Splitting.SENTENCES_ACROSS_LINES
        texts = [join_lines(segments[i]) if across_lines else segments[i] for i in wanted]
        async with window.hold(len(wanted)):
            results = [Output(text) for text in texts]
            for name in route.models:
                model = await self._pool.load_translating(name)
                outputs = await run_model(model, [result.text for result in results], pieces, usage)
                results = [old.followed_by(new) for old, new in zip(results, outputs, strict=True)]
        pivoted = (Flag.PIVOTED,) if len(route.models) > 1 else ()
        for index, result in zip(wanted, results, strict=True):
            decoded[index] = replace(result, flags=merge_flags([result.flags, pivoted]))
        return decoded


def _assemble(document: Document, outputs: Sequence[Output], route: Route, splitting: Splitting) -> Translation:
    """The translated document, with its segments and what is said about the whole."""
    rebuilt = rebuild_text(
        document, [output.text for output in outputs], join=splitting is Splitting.SENTENCES_ACROSS_LINES
    )
    segments = tuple(
        SegmentTranslation(source, target, output.text, output.avg_log_prob, output.flags)
        for source, target, output in zip(document.spans, rebuilt.spans, outputs, strict=True)
    )
    log_probs = [value for output in outputs for value in output.log_probs]
    return Translation(
        rebuilt.text,
        route.target,
        avg_log_prob=sum(log_probs) / len(log_probs) if log_probs else 0.0,
        flags=merge_flags([output.flags for output in outputs] or [[Flag.PASSTHROUGH]]),
        segments=segments,
        models=route.models,
    )
