"""The use case: texts in, translations out. Document to segments to route to backend to document.

Knows no gRPC and no model library. One bad item never fails its neighbours: what concerns an item is in its
result; only what is wrong with the request as a whole is raised.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import InvalidRequest, NotServed, Violation
from latimer_server.core.flags import Flag
from latimer_server.core.languages import UNDETERMINED, is_near
from latimer_server.core.usage import Usage
from latimer_server.models.catalog.catalog import CatalogEntry, Task
from latimer_server.models.pool.pool import ModelPool
from latimer_server.models.routing import Route, RouteMap
from latimer_server.scheduling import InflightLimit, Priority, estimate_text_work, gather_or_cancel, run_off_loop
from latimer_server.text.detection import Candidate, Detection, LanguageDetector
from latimer_server.text.protection.figures import protect_figures
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import PatternError
from latimer_server.text.segmentation import needs_translation
from latimer_server.translation.assembly import ContentJob, finish_translation
from latimer_server.translation.model_run import ModelRunOptions
from latimer_server.translation.output_repair import OutputRepairer, drop_extra_spans
from latimer_server.translation.protected_run import run_protected
from latimer_server.translation.requests import ItemResult, TranslateOptions, TranslateRequest, Translation
from latimer_server.translation.segment_output import SegmentOutput
from latimer_server.translation.segmenting import ParsedContent, parse_content, segment_content

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
class ContentLanguage:
    """The language of a content; "" where it has nothing to translate."""

    code: str
    detected: Candidate | None = None
    flags: tuple[Flag, ...] = ()


# A segment that needs a model: its job, its place among the job's, and what it is.
_Wanted = tuple[ContentJob, int, ProtectedText]


class Translator:
    """Translates requests with the models of a pool."""

    def __init__(self, pool: ModelPool, detector: LanguageDetector, *, pivoting: bool = True) -> None:
        self._pool = pool
        self._detector = detector
        self._usable: Sequence[CatalogEntry] = ()
        self._routes = RouteMap((), pivoting=pivoting)

    async def translate(self, request: TranslateRequest) -> tuple[list[ItemResult], Usage]:
        """One result for each content, in order.

        Raises what `require_served` does; `DeadlineExceeded` when its time is over, and `Overloaded` when that can be
        told before anything is done.
        """
        self.require_served(request)
        if request.source:
            self._require_time(request, [request.source])
        usage = Usage(characters=sum(map(len, request.contents)) * len(request.targets))
        work = estimate_text_work(request.contents) * len(request.targets)
        if request.source:
            sources, jobs = await run_off_loop(work, lambda: self._begin(request))
        else:
            parsed_contents, sources = await run_off_loop(work, lambda: self._read(request))
            self._require_time(request, [source.code for source in sources if source.code])
            jobs = await run_off_loop(work, lambda: self._start_jobs(request, parsed_contents, sources))
        usage.segments = sum(len(job.segments) for row in jobs for job in row if isinstance(job, ContentJob))
        _check_size(request.options, usage.segments)
        # A target that is named twice is one job.
        unique = {id(job): job for row in jobs for job in row if isinstance(job, ContentJob)}
        await self._run_jobs(request, list(unique.values()), usage)
        outputs = [
            output for row in jobs for job in row if isinstance(job, ContentJob) for output in job.outputs.values()
        ]
        usage.cached_segments = sum(isinstance(one, SegmentOutput) and Flag.CACHED in one.flags for one in outputs)
        return await run_off_loop(
            work,
            lambda: [
                ItemResult(
                    tuple(finish_translation(job, source.flags, request.options) for job in row), source.detected
                )
                for row, source in zip(jobs, sources, strict=True)
            ],
        ), usage

    async def detect(self, contents: Sequence[str], candidates: Sequence[str]) -> list[Detection]:
        """The languages of each text, among `candidates` where there are any."""
        return await asyncio.to_thread(lambda: [self._detector.detect(text, candidates) for text in contents])

    @property
    def routes(self) -> RouteMap:
        """The routes through the models that can be asked now, except those that must be named."""
        usable = self._pool.list_usable(Task.TRANSLATION)
        if self._usable is not usable:
            self._usable = usable
            free = [entry for entry in usable if not entry.noncommercial]
            self._routes = RouteMap(free, pivoting=self._routes.pivoting)
        return self._routes

    def require_served(self, request: TranslateRequest) -> None:
        """Raises `NotServed` when the request gives a source and a target that no model serves, or names a model
        that there is not."""
        if request.model:
            self._pool.catalog.get(request.model)
        for target in request.targets if request.source else ():
            self.require_route(request.source, target, request)

    def require_route(self, source: str, target: str, request: TranslateRequest | None = None) -> None:
        """Raises `NotServed`, naming what is served, when no model translates this pair."""
        if not is_near(source, target):
            self._find_route(request or TranslateRequest((), source, (target,)), source, target)

    def find_sources(self, request: TranslateRequest, texts: Sequence[str] = ()) -> list[ContentLanguage]:
        """The language of each content: as given, or as detected in `texts`, where those are not the contents.

        A detection that is not reliable takes the fallback, else the likeliest language that can be
        translated: short texts are often of a served language.
        """
        if request.source:
            return [ContentLanguage(request.source)] * len(request.contents)
        asks = not request.options.fallback and not request.options.candidates
        likely = sorted({*self.routes.sources, *request.targets}) if asks else []
        return [self._find_source(request, text, likely) for text in texts or request.contents]

    def _find_source(self, request: TranslateRequest, content: str, likely: Sequence[str]) -> ContentLanguage:
        if not needs_translation(content):
            return ContentLanguage("", Candidate(UNDETERMINED, 0.0))
        found = self._detector.detect(content, request.options.candidates)
        if found.reliable:
            return ContentLanguage(found.best.code, found.best)
        doubt = (Flag.LOW_LANGUAGE_CONFIDENCE,)
        if request.options.fallback:
            return ContentLanguage(request.options.fallback, found.best, doubt)
        if likely:
            found = self._detector.detect(content, likely, only=False)
            if len(found.candidates) > 1 and all(is_near(found.best.code, target) for target in request.targets):
                # Left as it is only where it is clearly in the target language already.
                first, second = found.candidates[:2]
                best = first if first.confidence > _CLEARLY * second.confidence else second
                return ContentLanguage(best.code, best, doubt)
        return ContentLanguage(found.best.code, found.best, doubt)

    def _require_time(self, request: TranslateRequest, sources: Sequence[str]) -> None:
        """Raises `Overloaded` where a model that these languages need has more before it than the deadline leaves time
        for. A stream is served as far as its deadline goes."""
        if request.deadline is None or request.priority is not Priority.INTERACTIVE:
            return
        pairs = {(source, target) for source in sources for target in request.targets}
        routes = [self._try_route(request, *pair) for pair in pairs if not is_near(*pair)]
        for name in {name for route in routes if isinstance(route, Route) for name in route.models}:
            self._pool.require_deadline_met(name, request.deadline, request.caller, cached=not request.disable_cache)

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

    def _read(self, request: TranslateRequest) -> tuple[list[ParsedContent], list[ContentLanguage]]:
        """The contents, and the language of each."""
        options = request.options
        parsed_contents = [
            parse_content(content, options.text_format, options.ignore_tags) for content in request.contents
        ]
        return parsed_contents, self.find_sources(request, [parsed.text for parsed in parsed_contents])

    def _begin(self, request: TranslateRequest) -> tuple[list[ContentLanguage], list[list[ContentJob | Translation]]]:
        """The jobs of a request whose language is known: all that is done before a model, in one go."""
        parsed_contents, sources = self._read(request)
        return sources, self._start_jobs(request, parsed_contents, sources)

    def _start_jobs(
        self, request: TranslateRequest, parsed_contents: Sequence[ParsedContent], sources: Sequence[ContentLanguage]
    ) -> list[list[ContentJob | Translation]]:
        """For each content and target a job, or the translation where there is nothing to do or nothing that
        can do it."""
        routes: dict[tuple[str, str], Route | NotServed] = {}
        rows: list[list[ContentJob | Translation]] = []
        options = request.options
        for parsed, source in zip(parsed_contents, sources, strict=True):
            try:
                parts = segment_content(parsed, source.code, options.splitting, options.protection, options.glossary)
            except PatternError as error:
                refusal = InvalidRequest(Violation("options.patterns", str(error)))
                rows.append([Translation("", target, error=refusal) for target in request.targets])
                continue
            segments = [segment for part in parts for segment in part.segments]
            wanted = tuple(i for i, segment in enumerate(segments) if segment.replacements or segment.needs_model())
            started: dict[str, ContentJob | Translation] = {}
            for target in dict.fromkeys(request.targets):
                if not source.code or is_near(source.code, target):
                    started[target] = Translation(parsed.content, target, flags=(Flag.PASSTHROUGH,))
                    continue
                pair = (source.code, target)
                if pair not in routes:
                    routes[pair] = self._try_route(request, *pair)
                route = routes[pair]
                if isinstance(route, NotServed):
                    started[target] = Translation("", target, error=route)
                else:
                    started[target] = ContentJob(parsed, parts, route, segments, wanted, {})
            rows.append([started[target] for target in request.targets])
        return rows

    def _try_route(self, request: TranslateRequest, source: str, target: str) -> Route | NotServed:
        try:
            return self._find_route(request, source, target)
        except NotServed as error:
            return error

    async def _run_jobs(self, request: TranslateRequest, jobs: Sequence[ContentJob], usage: Usage) -> None:
        """Takes the segments of all jobs through their models, those of one route together."""
        options = request.options
        pieces = ModelRunOptions(
            options.decoding.with_hypotheses(1 + options.alternative_count, alignment=options.needs_alignment),
            options.reject_overlong,
            request.priority,
            request.deadline,
            caller=object() if request.caller is None else request.caller,
            cached=not request.disable_cache,
        )
        inflight = InflightLimit(_WINDOW_PIECES)

        async def run_chunk(route: Route, chunk: Sequence[_Wanted]) -> None:
            segments = [segment for _, _, segment in chunk]
            outputs = await self._translate_segments(route, segments, pieces, inflight, usage)
            for (job, index, _), output in zip(chunk, outputs, strict=True):
                job.outputs[index] = output

        by_route: dict[Route, list[ContentJob]] = {}
        for job in jobs:
            by_route.setdefault(job.route, []).append(job)
        await gather_or_cancel(
            self._run_chunks(
                sum(len(job.wanted) for job in mine),
                (wanted for job in mine for wanted in _list_wanted(job)),
                partial(run_chunk, route),
            )
            for route, mine in by_route.items()
        )

    @staticmethod
    async def _run_chunks(
        count: int,
        segments: Iterator[_Wanted],
        run_chunk: Callable[[Sequence[_Wanted]], Coroutine[Any, Any, None]],
    ) -> None:
        """Runs `count` segments chunk by chunk, a few chunks at once, so that a request of any size is fed through."""

        async def feed() -> None:
            while chunk := list(islice(segments, _CHUNK_SEGMENTS)):
                await run_chunk(chunk)

        await gather_or_cancel(feed() for _ in range(min(_CHUNKS_AT_ONCE, math.ceil(count / _CHUNK_SEGMENTS))))

    async def _translate_segments(
        self,
        route: Route,
        segments: Sequence[ProtectedText],
        pieces: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through a route, and what comes out through a proofreader."""

        async def retranslate(
            some: Sequence[ProtectedText], decoding: DecodingOptions
        ) -> list[SegmentOutput | Exception]:
            asked = pieces if decoding is pieces.decoding else replace(pieces, decoding=decoding)
            return await self._run_route(route, some, asked, inflight, usage)

        work = estimate_text_work([segment.text for segment in segments])
        grouped = await run_off_loop(
            work, lambda: [protect_figures(one, route.source, route.target, only_grouped=True) for one in segments]
        )
        outputs = list(map(drop_extra_spans, await retranslate(grouped, pieces.decoding), grouped, segments))
        repairer = OutputRepairer(
            route.source, route.target, pieces.decoding, retranslate, self._detector.is_written_in
        )
        return await repairer.check_and_repair(segments, outputs)

    async def _run_route(
        self,
        route: Route,
        segments: Sequence[ProtectedText],
        pieces: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through every model of a route; what fails at one goes no further."""
        if len(route.models) == 1:
            return await self._run_single_model_route(route, segments, pieces, inflight, usage)
        pivoted = (Flag.PIVOTED,)
        results: list[SegmentOutput | Exception] = [SegmentOutput(segment.text, flags=pivoted) for segment in segments]
        guarded = list(segments)
        orders = [tuple(range(len(segment.spans))) for segment in segments]
        last = len(route.models) - 1
        for step, (name, languages) in enumerate(zip(route.models, route.language_pairs, strict=True)):
            going = [(index, result) for index, result in enumerate(results) if isinstance(result, SegmentOutput)]
            asked = [guarded[index] for index, _ in going]
            try:
                # Alternatives are the last model's: what an earlier one might also have said is never read.
                wanted = pieces.decoding.hypothesis_count if step == last else 1
                mine = replace(pieces, languages=languages, decoding=pieces.decoding.with_hypotheses(wanted))
                outputs = await self._run_one_model(name, asked, mine, inflight, usage)
            except NotServed as error:
                return [error] * len(segments)
            for (index, result), output in zip(going, outputs, strict=True):
                results[index] = result.followed_by(output) if isinstance(output, SegmentOutput) else output
                if isinstance(output, SegmentOutput) and step < last:
                    guarded[index], orders[index] = _order_spans(output, orders[index])
                elif isinstance(output, SegmentOutput):
                    # In the order of the source again; which word answers which is known of one model only.
                    spans = dict(zip(orders[index], output.protected, strict=True))
                    ordered = tuple(spans[place] for place in sorted(spans))
                    results[index] = replace(results[index], protected=ordered, links=None)  # type: ignore[type-var]
        return results

    async def _run_single_model_route(
        self,
        route: Route,
        segments: Sequence[ProtectedText],
        pieces: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through the one model of a route: what comes out is what is asked for."""
        try:
            mine = replace(pieces, languages=route.language_pairs[0])
            return await self._run_one_model(route.models[0], segments, mine, inflight, usage)
        except NotServed as error:
            return [error] * len(segments)

    async def _run_one_model(
        self,
        name: str,
        segments: Sequence[ProtectedText],
        pieces: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through one model. Here, so that nothing refers to it while the next is waited for."""
        async with self._pool.hold_generator(name) as model:
            return await run_protected(model, segments, pieces, inflight, usage)


def _order_spans(output: SegmentOutput, order: Sequence[int]) -> tuple[ProtectedText, tuple[int, ...]]:
    """An output as what the next model is given: its protected spans ascending, and which of the source's each is."""
    ranked = sorted(zip(output.protected, order, strict=True), key=lambda pair: pair[0].start)
    return ProtectedText(output.text, tuple(span for span, _ in ranked)), tuple(place for _, place in ranked)


def _list_wanted(job: ContentJob) -> Iterator[_Wanted]:
    segments = job.segments
    return ((job, index, segments[index]) for index in job.wanted)


def _check_size(options: TranslateOptions, segments: int) -> None:
    """Raises `InvalidRequest` where an answer would be too large."""
    if options.alternative_count and segments * (1 + options.alternative_count) > MAX_RETURNED_SEGMENTS:
        rule = f"would return {segments} segments and {options.alternative_count} alternatives of each"
        raise InvalidRequest(
            Violation("options.alternative_count", f"{rule}; at most {MAX_RETURNED_SEGMENTS} together")
        )
    if options.returns_segments and segments > MAX_RETURNED_SEGMENTS:
        rule = f"would return {segments} segments; at most {MAX_RETURNED_SEGMENTS}"
        field = "include_segments" if options.include_segments else "include_alignment"
        raise InvalidRequest(Violation(f"options.{field}", rule))
