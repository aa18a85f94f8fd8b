"""The servicer of TranslationService: converts protobuf requests to `TranslateRequest`, and results to messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from latimer.v1 import translation_pb2 as pb
from latimer_server.core.errors import InvalidRequest, TooLate, Violation
from latimer_server.core.usage import Usage
from latimer_server.observability.log_format import request_id
from latimer_server.rpc.call import Call
from latimer_server.rpc.call_record import OutputReport, count_words
from latimer_server.rpc.error_status import to_status
from latimer_server.rpc.servicers.late_requests import LateRequests
from latimer_server.rpc.servicers.limits import MAX_TARGETS, describe_range
from latimer_server.rpc.servicers.options import read_options, refuse_unserved
from latimer_server.rpc.servicers.results import to_flags, to_span, to_usage
from latimer_server.rpc.servicers.streaming import Translate, answer_stream
from latimer_server.rpc.servicers.validation import Rules
from latimer_server.scheduling import Admission, Priority, estimate_text_work
from latimer_server.text.detection import Detection
from latimer_server.translation.requests import ItemResult, SegmentTranslation, TranslateRequest, Translation
from latimer_server.translation.translator import Translator


class TranslationServicer:
    """Implements `latimer.v1.TranslationService`."""

    def __init__(self, translator: Translator, admission: Admission) -> None:
        self._translator = translator
        self._admission = admission
        self._late = LateRequests()

    def TranslateText(  # noqa: N802 (gRPC's name of the method)
        self, request: pb.TranslateTextRequest, call: Call
    ) -> Coroutine[Any, Any, pb.TranslateTextResponse]:
        """Translates each text of the request into each target language. Validates the request at once, in the thread
        of the call."""
        self._admission.require_place(call.caller)
        read = _read_request(request, call)
        self._late.refuse_again(read)
        return self._run(read, call)

    async def _run(self, request: TranslateRequest, call: Call) -> pb.TranslateTextResponse:
        with self._admission.admit(call.caller):
            try:
                results, usage = await self._translate(request, call)
            except TooLate as error:
                self._late.note(request, error)
                raise
            return pb.TranslateTextResponse(results=results, usage=to_usage(usage))

    def StreamTranslateText(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.StreamTranslateTextRequest], call: Call
    ) -> AsyncIterator[pb.StreamTranslateTextResponse | None]:
        """Translates the items of a stream. Yields None when the stream is accepted."""
        return answer_stream(request_iterator, lambda config: self._open_stream(config, call))

    async def DetectLanguage(  # noqa: N802
        self, request: pb.DetectLanguageRequest, call: Call
    ) -> pb.DetectLanguageResponse:
        """Detects the language of each text."""
        rules = Rules()
        rules.contents(request.contents)
        candidates = rules.languages(request.candidate_language_codes, "candidate_language_codes")
        rules.enforce()
        with self._admission.admit(call.caller):
            detections = await self._translator.detect(
                request.contents, candidates, self._translator.begin_text_work(call.caller, call.deadline)
            )
            call.record.add(len(detections), (), Usage(characters=sum(map(len, request.contents))))
            return pb.DetectLanguageResponse(detections=[_to_detection(detection) for detection in detections])

    async def ListLanguagePairs(  # noqa: N802
        self, request: pb.ListLanguagePairsRequest, call: Call
    ) -> pb.ListLanguagePairsResponse:
        """Lists the language pairs that pass the filters, one page at a time."""
        rules = Rules()
        source = rules.language(request.source_language_code, "source_language_code", optional=True)
        target = rules.language(request.target_language_code, "target_language_code", optional=True)
        start, size = rules.page(request.page_size, request.page_token)
        rules.enforce()
        routes = self._translator.routes
        pairs, more = routes.list_pairs(source, target, start, size)
        return pb.ListLanguagePairsResponse(
            language_pairs=[
                pb.LanguagePair(source_language_code=pair[0], target_language_code=pair[1], models=route.models)
                for pair in pairs
                if (route := routes.find(*pair))
            ],
            next_page_token=str(start + size) if more else "",
        )

    def _open_stream(self, config: pb.StreamTranslateTextConfig, call: Call) -> Translate:
        """Returns the function that translates the contents of a group of a stream's items.

        Raises `InvalidRequest`, `Unsupported` or `NotServed` for errors in the stream's config.
        """
        try:
            request = _read_common(config, Rules(), call, Priority.BULK)
        except InvalidRequest as error:
            violations = (Violation(f"config.{each.field}", each.description) for each in error.violations)
            raise InvalidRequest(*violations) from None
        self._translator.require_served(request)

        async def translate(contents: Sequence[str]) -> tuple[list[pb.TranslationResult], Usage]:
            return await self._translate(replace(request, contents=tuple(contents)), call)

        return translate

    async def _translate(self, request: TranslateRequest, call: Call) -> tuple[list[pb.TranslationResult], Usage]:
        results, usage = await self._translator.translate(request)
        work = estimate_text_work(request.contents) * len(request.targets)
        text = self._translator.begin_text_work(request.caller, request.deadline)
        messages, reports = await text.run(
            work, lambda: ([_to_result(result) for result in results], _report(request.contents, results))
        )
        call.record.add(len(results), reports, usage)
        return messages, usage


def _read_request(request: pb.TranslateTextRequest, call: Call) -> TranslateRequest:
    rules, contents = Rules(), tuple(request.contents)
    rules.contents(contents)
    return _read_common(request, rules, call, Priority.INTERACTIVE, contents)


def _read_common(
    request: pb.TranslateTextRequest | pb.StreamTranslateTextConfig,
    rules: Rules,
    call: Call,
    priority: Priority,
    contents: tuple[str, ...] = (),
) -> TranslateRequest:
    """Converts the fields that TranslateText and streams share to a `TranslateRequest`, and enforces `rules`.

    `contents` is empty for a stream, whose items come later.
    """
    source = rules.language(request.source_language_code, "source_language_code", optional=True)
    targets = rules.languages(request.target_language_codes, "target_language_codes")
    rules.require(targets, "target_language_codes", f"has 0 items; {describe_range(1, MAX_TARGETS)} are allowed")
    options = read_options(request.options, rules)
    rules.enforce()
    refuse_unserved(request.options)
    return TranslateRequest(
        contents,
        source,
        targets,
        request.model,
        options,
        priority,
        call.deadline,
        caller=call.caller,
        disable_cache=request.options.disable_cache,
    )


def _report(contents: Sequence[str], results: Sequence[ItemResult]) -> list[OutputReport]:
    return [
        OutputReport(words, translation.models, translation.flags, translation.error)
        for words, result in zip(map(count_words, contents), results, strict=True)
        for translation in result.translations
    ]


def _to_result(result: ItemResult) -> pb.TranslationResult:
    message = pb.TranslationResult(translations=[_to_translation(translation) for translation in result.translations])
    if result.detected:
        message.detected_language_code = result.detected.code
        message.detected_language_confidence = result.detected.confidence
    return message


def _to_translation(translation: Translation) -> pb.Translation:
    message = pb.Translation(
        translated_text=translation.text,
        target_language_code=translation.target,
        avg_log_prob=translation.avg_log_prob,
        flags=to_flags(translation.flags),
        segments=[_to_segment(segment) for segment in translation.segments],
        models=translation.models,
    )
    if translation.error:
        message.error.CopyFrom(to_status(translation.error, request_id.get()))
    return message


def _to_segment(segment: SegmentTranslation) -> pb.Segment:
    return pb.Segment(
        source_span=to_span(segment.source_span),
        target_span=to_span(segment.target_span),
        translated_text=segment.text,
        avg_log_prob=segment.avg_log_prob,
        flags=to_flags(segment.flags),
        alternatives=[
            pb.Alternative(translated_text=other.text, avg_log_prob=other.avg_log_prob)
            for other in segment.alternatives
        ],
        alignment=[
            pb.AlignmentLink(
                source_span=to_span(link.source), target_span=to_span(link.target), score=min(1.0, link.score)
            )
            for link in segment.alignment
        ],
    )


def _to_detection(detection: Detection) -> pb.LanguageDetection:
    return pb.LanguageDetection(
        candidates=[
            pb.DetectedLanguage(language_code=candidate.code, confidence=candidate.confidence)
            for candidate in detection.candidates
        ],
        reliable=detection.reliable,
    )
