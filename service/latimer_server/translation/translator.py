"""Translator: translates requests. Detects languages, finds routes, runs segments through models, assembles results.

Imports neither gRPC nor a model library. An error that concerns one item is part of the item's result and does not
affect other items. Only errors of the whole request are raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import DeadlineExceeded, InvalidRequest, NotServed, Overloaded, Violation
from latimer_server.core.flags import Flag
from latimer_server.core.languages import UNDETERMINED, is_near
from latimer_server.core.usage import Usage
from latimer_server.models.catalog.catalog import CatalogEntry, Task
from latimer_server.models.pool.pool import ModelPool
from latimer_server.models.routing import Route, RouteMap
from latimer_server.scheduling import (
    InflightLimit,
    Priority,
    TextWork,
    TextWorkers,
    count_characters,
    estimate_characters,
    estimate_text_work,
    gather_or_cancel,
)
from latimer_server.text.detection import Candidate, Detection, LanguageDetector
from latimer_server.text.markup import has_tags
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import PatternError
from latimer_server.text.segmentation import needs_translation
from latimer_server.translation.assembly import ContentJob, finish_translation
from latimer_server.translation.chunks import JobSegment, list_chunks, run_chunks
from latimer_server.translation.joined_run import JoinedRunner, joins_sentences
from latimer_server.translation.model_run import ModelRunOptions
from latimer_server.translation.output_repair import OutputRepairer
from latimer_server.translation.quality_ladder import shorten_deadline
from latimer_server.translation.request_backlogs import RequestBacklogs
from latimer_server.translation.request_memory import estimate_bytes
from latimer_server.translation.requests import ItemResult, TranslateRequest, Translation
from latimer_server.translation.response_size import check_growth, check_segment_count
from latimer_server.translation.route_run import RouteRunner
from latimer_server.translation.segment_output import SegmentOutput
from latimer_server.translation.segmenting import ParsedContent, parse_content, read_tags, segment_content

# A text with an unreliable detection is taken to be in its target language already only if that language is more than
# this many times as likely as the next one; otherwise it is taken to be in the next one.
_CLEAR_RATIO = 5.0
# The cost of loading a model for detection, in code points: as long as work on a text of this size.
_LOADING_CHARACTERS = 50_000
# Most pieces of one request in the queues at a time.
_WINDOW_PIECES = 1_024


@dataclass(frozen=True)
class ContentLanguage:
    """The language of a content (BCP-47); `code` is "" if it was to be detected and there is no letter.

    `detected` is the result of detection; None if the request named the language.
    """

    code: str
    detected: Candidate | None = None
    flags: tuple[Flag, ...] = ()


class Translator:
    """A translator of requests with the models of a pool.

    `pivoting` allows routes through a third language. Without `text_workers` all work on texts runs on the event loop.
    """

    def __init__(
        self,
        pool: ModelPool,
        detector: LanguageDetector,
        *,
        pivoting: bool = True,
        text_workers: TextWorkers | None = None,
    ) -> None:
        self._pool = pool
        self._route_runner = RouteRunner(pool)
        self._text_workers = text_workers
        self._detector = detector
        self._usable: Sequence[CatalogEntry] = ()
        self._routes = RouteMap((), pivoting=pivoting)

    async def translate(self, request: TranslateRequest) -> tuple[list[ItemResult], Usage]:
        """Returns one result for each content, in order, and the usage of the request.

        Raises what `require_served` raises, `InvalidRequest` if the response would hold too many segments,
        `DeadlineExceeded` if the deadline passes, and `Overloaded` if an interactive request finds the queues too long.
        """
        self.require_served(request)
        with ExitStack() as stack:
            backlogs = RequestBacklogs(self._pool, request, partial(self._try_route, request), stack)
            if request.source:
                backlogs.enter({request.source: sum(map(estimate_characters, request.contents))})
            text = self.begin_text_work(request.caller, request.deadline)
            async with text.hold_memory(estimate_bytes(request)):
                return await self._translate(request, text, backlogs)

    async def _translate(
        self, request: TranslateRequest, text: TextWork, backlogs: RequestBacklogs
    ) -> tuple[list[ItemResult], Usage]:
        usage = Usage(characters=sum(map(len, request.contents)) * len(request.targets))
        work = estimate_text_work(request.contents) * len(request.targets)
        run_first = text.start if request.priority is Priority.INTERACTIVE else text.run
        if request.source:
            sources, jobs = await run_first(work, lambda: self._begin(request))
        else:
            detecting = max(work, self.estimate_detection(request.contents, request.options.candidates))
            parsed_contents, sources = await run_first(detecting, lambda: self._read(request))
            sizes: Counter[str] = Counter()
            for source, content in zip(sources, request.contents, strict=True):
                sizes[source.code] += estimate_characters(content)
            backlogs.enter(sizes)
            jobs = await text.run(work, lambda: self._start_jobs(request, parsed_contents, sources))
        usage.segments = sum(len(job.segments) for row in jobs for job in row if isinstance(job, ContentJob))
        check_segment_count(request.options, usage.segments)
        # Equal targets share one job.
        unique = {id(job): job for row in jobs for job in row if isinstance(job, ContentJob)}
        if request.options.glossary:
            await text.run(work, lambda: check_growth(unique.values()))
        backlogs.settle(unique.values())
        await self._run_jobs(request, list(unique.values()), usage, text)
        outputs = [
            output for row in jobs for job in row if isinstance(job, ContentJob) for output in job.outputs.values()
        ]
        usage.cached_segments = sum(isinstance(out, SegmentOutput) and Flag.CACHED in out.flags for out in outputs)
        return await text.run(
            work,
            lambda: [
                ItemResult(
                    tuple(finish_translation(job, source.flags, request.options) for job in row), source.detected
                )
                for row, source in zip(jobs, sources, strict=True)
            ],
        ), usage

    def begin_text_work(self, caller: Hashable, deadline: float | None) -> TextWork:
        """Returns the work on texts of one request."""
        return TextWork(self._text_workers, caller, deadline)

    async def detect(self, contents: Sequence[str], candidates: Sequence[str], text: TextWork) -> list[Detection]:
        """Returns a `Detection` for each text, in order, among the languages `candidates` (BCP-47) if any are given."""
        work = self.estimate_detection(contents, candidates)
        return await text.start(work, lambda: [self._detector.detect(content, candidates) for content in contents])

    def estimate_detection(self, contents: Sequence[str], candidates: Sequence[str]) -> int:
        """Returns the cost of detecting the languages of texts, in code points, as the `size` of `TextWork.run`.

        The first detection that loads a model costs as much as a long text, so that it does not run on the event loop.
        """
        return estimate_text_work(contents) + self._detector.loads_model(candidates) * _LOADING_CHARACTERS

    @property
    def routes(self) -> RouteMap:
        """The routes through the usable models, without noncommercial models, which a request must name."""
        usable = self._pool.list_usable(Task.TRANSLATION)
        if self._usable is not usable:
            self._usable = usable
            unrestricted = [entry for entry in usable if not entry.noncommercial]
            self._routes = RouteMap(unrestricted, pivoting=self._routes.pivoting)
        return self._routes

    def require_served(self, request: TranslateRequest) -> None:
        """Raises `NotServed` if the named model is unknown, or if a source and target that differ have no route."""
        if request.model:
            self._pool.catalog.get(request.model)
        for target in request.targets if request.source else ():
            self.require_route(request.source, target, request)

    def require_route(self, source: str, target: str, request: TranslateRequest | None = None) -> None:
        """Raises `NotServed`, with a list of the served pairs, if source and target differ and have no route."""
        if not is_near(source, target):
            self._find_route(request or TranslateRequest((), source, (target,)), source, target)

    def find_sources(self, request: TranslateRequest, texts: Sequence[str] = ()) -> list[ContentLanguage]:
        """Returns the language of each content: the request's source, or the language detected in each text.

        `texts` are the contents without markup; empty means the contents themselves. An unreliable detection is
        replaced by the request's fallback. If it names neither fallback nor candidates, the likeliest target or served
        source language is taken, because short texts are often in one of these.
        """
        if request.source:
            return [ContentLanguage(request.source)] * len(request.contents)
        prefers_served = not request.options.fallback and not request.options.candidates
        likely = sorted({*self.routes.sources, *request.targets}) if prefers_served else []
        return [self._find_source(request, text, likely) for text in texts or request.contents]

    def _find_source(self, request: TranslateRequest, content: str, likely: Sequence[str]) -> ContentLanguage:
        if not needs_translation(content):
            return ContentLanguage("", Candidate(UNDETERMINED, 0.0))
        detection = self._detector.detect(content, request.options.candidates)
        if detection.reliable:
            return ContentLanguage(detection.best.code, detection.best)
        doubt = (Flag.LOW_LANGUAGE_CONFIDENCE,)
        if request.options.fallback:
            return ContentLanguage(request.options.fallback, detection.best, doubt)
        if likely:
            detection = self._detector.detect(content, likely, only=False)
            if len(detection.candidates) > 1 and all(
                is_near(detection.best.code, target) for target in request.targets
            ):
                # A text in its target language stays untranslated, so that guess must be clear.
                first, second = detection.candidates[:2]
                best = first if first.confidence > _CLEAR_RATIO * second.confidence else second
                return ContentLanguage(best.code, best, doubt)
        return ContentLanguage(detection.best.code, detection.best, doubt)

    def _find_route(self, request: TranslateRequest, source: str, target: str) -> Route:
        routes = self.routes
        if request.model:
            entry = self._pool.get_entry(request.model)
            routes = RouteMap([entry] if entry.task is Task.TRANSLATION else [], pivoting=False)
        route = routes.find(source, target, allow_pivot=not request.options.disable_pivot)
        if route is None:
            by_model = f" by model {request.model}" if request.model else ""
            raise NotServed(f"language pair {source}->{target} is not served{by_model}; served: {routes.describe()}")
        return route

    def _read(self, request: TranslateRequest) -> tuple[list[ParsedContent], list[ContentLanguage]]:
        """Parses the contents' markup and returns them with the language of each."""
        options = request.options
        parsed_contents = [
            parse_content(
                content, options.text_format, options.ignore_tags, reads_attributes=options.translate_attributes
            )
            for content in request.contents
        ]
        return parsed_contents, self.find_sources(request, [parsed.text for parsed in parsed_contents])

    def _begin(self, request: TranslateRequest) -> tuple[list[ContentLanguage], list[list[ContentJob | Translation]]]:
        """Parses and segments a request with a known source, so that one thread does all work before the models."""
        parsed_contents, sources = self._read(request)
        return sources, self._start_jobs(request, parsed_contents, sources)

    def _start_jobs(
        self, request: TranslateRequest, parsed_contents: Sequence[ParsedContent], sources: Sequence[ContentLanguage]
    ) -> list[list[ContentJob | Translation]]:
        """Returns a row for each content: for each target a job, or else the unchanged content or an error."""
        routes: dict[tuple[str, str], Route | NotServed] = {}
        rows: list[list[ContentJob | Translation]] = []
        options = request.options
        for content, source in zip(parsed_contents, sources, strict=True):
            parsed = content
            if options.reads_tags and has_tags(content.content) and self._aligns(request, source.code):
                parsed = read_tags(content)
            try:
                parts = segment_content(parsed, source.code, options.splitting, options.protection, options.glossary)
            except PatternError as error:
                refusal = InvalidRequest(Violation("options.patterns", str(error)))
                rows.append([Translation("", target, error=refusal) for target in request.targets])
                continue
            segments = [segment for part in parts for segment in part.segments]
            to_translate = tuple(
                index for index, segment in enumerate(segments) if segment.replacements or segment.needs_model()
            )
            characters = sum(map(count_characters, {segments[index].text for index in to_translate}))
            by_target: dict[str, ContentJob | Translation] = {}
            for target in dict.fromkeys(request.targets):
                if not source.code or is_near(source.code, target):
                    by_target[target] = Translation(parsed.content, target, flags=(Flag.PASSTHROUGH,))
                    continue
                pair = (source.code, target)
                if pair not in routes:
                    routes[pair] = self._try_route(request, *pair)
                route = routes[pair]
                if isinstance(route, NotServed):
                    by_target[target] = Translation("", target, error=route)
                else:
                    by_target[target] = ContentJob(parsed, parts, route, segments, to_translate, {}, characters)
            rows.append([by_target[target] for target in request.targets])
        return rows

    def _aligns(self, request: TranslateRequest, source: str) -> bool:
        """Returns True if all routes of a request have one model, and it returns the alignment that tags need."""
        routes = [self._try_route(request, source, target) for target in set(request.targets)] if source else []
        found = [route for route in routes if isinstance(route, Route)]
        return bool(found) and all(
            len(route.models) == 1 and self._pool.get_entry(route.models[0]).guided_alignment for route in found
        )

    def _try_route(self, request: TranslateRequest, source: str, target: str) -> Route | NotServed:
        try:
            return self._find_route(request, source, target)
        except NotServed as error:
            return error

    async def _run_jobs(
        self, request: TranslateRequest, jobs: Sequence[ContentJob], usage: Usage, text: TextWork
    ) -> None:
        """Translates the segments of all jobs, together for each route, and stores the outputs in the jobs."""
        options = request.options
        needs_alignment = options.needs_alignment or any(job.parsed.markup for job in jobs)
        run_options = ModelRunOptions(
            options.decoding.with_hypotheses(1 + options.alternative_count, alignment=needs_alignment),
            options.reject_overlong,
            request.priority,
            request.deadline,
            caller=object() if request.caller is None else request.caller,
            cached=not request.disable_cache,
            text=text,
        )
        inflight = InflightLimit(_WINDOW_PIECES)

        async def run_chunk(route: Route, chunk: Sequence[JobSegment]) -> None:
            outputs = await self._translate_segments(route, chunk, run_options, inflight, usage)
            for (job, index, _), output in zip(chunk, outputs, strict=True):
                job.outputs[index] = output

        by_route: dict[Route, list[ContentJob]] = {}
        for job in jobs:
            by_route.setdefault(job.route, []).append(job)
        await gather_or_cancel(
            run_chunks(list_chunks(route_jobs), partial(run_chunk, route)) for route, route_jobs in by_route.items()
        )

    async def _translate_segments(
        self,
        route: Route,
        chunk: Sequence[JobSegment],
        options: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through a route and returns their outputs, checked and repaired, or errors, in order."""
        segments = [segment for _, _, segment in chunk]

        async def run(texts: Sequence[ProtectedText]) -> list[SegmentOutput | Exception]:
            return await self._route_runner.run(route, texts, options, inflight, usage)

        async def retry(texts: Sequence[ProtectedText], decoding: DecodingOptions) -> list[SegmentOutput | Exception]:
            hurried = replace(options, decoding=decoding, deadline=shorten_deadline(options.deadline))
            try:
                return await self._route_runner.run(route, texts, hurried, inflight, usage)
            except (DeadlineExceeded, Overloaded):
                return [DeadlineExceeded("no time to translate the segment again")] * len(texts)

        aligns = len(route.models) == 1 and self._pool.get_entry(route.models[0]).guided_alignment
        # The gain was measured for students, which return alignments.
        if aligns and joins_sentences(options.decoding):
            outputs = await JoinedRunner(route.source, route.target, run, usage, options.text).translate(chunk)
        else:
            outputs = await run(segments)
        repairer = OutputRepairer(
            route.source,
            route.target,
            options.decoding,
            retry,
            self._detector.is_written_in,
            usage,
            options.text,
            aligns,
            any(self._pool.get_entry(model).has_shortlist for model in route.models),
        )
        return await repairer.check_and_repair(segments, outputs)
