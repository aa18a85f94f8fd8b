"""The servicer of SummarizationService: converts protobuf requests to `SummarizeRequest`, and summaries back."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from latimer.v1 import summarization_pb2 as pb
from latimer.v1 import types_pb2
from latimer_server.observability.log_format import request_id
from latimer_server.rpc.call import Call
from latimer_server.rpc.call_record import OutputReport, count_words
from latimer_server.rpc.error_status import to_status
from latimer_server.rpc.servicers.results import to_flags, to_span, to_usage
from latimer_server.rpc.servicers.validation import Rules, refuse_markup
from latimer_server.scheduling import Admission, estimate_text_work
from latimer_server.summarization.composition import LengthLimit, Summary, SummaryMode
from latimer_server.summarization.summarizer import Summarizer, SummarizeRequest

# Sentences of a summary for each value of `length`, which applies if no exact limit is set.
_SENTENCES = {
    pb.SUMMARY_LENGTH_UNSPECIFIED: 3,
    pb.SUMMARY_LENGTH_SHORT: 1,
    pb.SUMMARY_LENGTH_MEDIUM: 3,
    pb.SUMMARY_LENGTH_LONG: 6,
}
_MAX_SENTENCES = 100
_MAX_WORDS = 100_000
_MODES = {
    pb.SUMMARY_MODE_EXTRACTIVE: SummaryMode.EXTRACTIVE,
    pb.SUMMARY_MODE_ABSTRACTIVE: SummaryMode.ABSTRACTIVE,
    pb.SUMMARY_MODE_HYBRID: SummaryMode.HYBRID,
}


class SummarizationServicer:
    """Implements `latimer.v1.SummarizationService`."""

    def __init__(self, summarizer: Summarizer, admission: Admission) -> None:
        self._summarizer = summarizer
        self._admission = admission

    def SummarizeText(  # noqa: N802 (gRPC's name of the method)
        self, request: pb.SummarizeTextRequest, call: Call
    ) -> Coroutine[Any, Any, pb.SummarizeTextResponse]:
        """Summarizes each text of the request. Validates the request at once, in the thread of the call."""
        self._admission.require_place(call.caller)
        return self._run(_read_request(request, call), request.contents, call)

    async def _run(self, request: SummarizeRequest, contents: Sequence[str], call: Call) -> pb.SummarizeTextResponse:
        with self._admission.admit(call.caller):
            summaries, usage = await self._summarizer.summarize(request)
            message, reports = await self._summarizer.begin_text_work(request).run(
                estimate_text_work(contents),
                lambda: (
                    pb.SummarizeTextResponse(
                        summaries=[_to_summary(summary) for summary in summaries], usage=to_usage(usage)
                    ),
                    _report(contents, summaries),
                ),
            )
            call.record.add(len(summaries), reports, usage)
            return message


def _report(contents: Sequence[str], summaries: Sequence[Summary]) -> list[OutputReport]:
    return [
        OutputReport(count_words(content), summary.models, summary.flags, summary.error)
        for content, summary in zip(contents, summaries, strict=True)
    ]


def _read_request(request: pb.SummarizeTextRequest, call: Call) -> SummarizeRequest:
    rules = Rules()
    rules.contents(request.contents)
    language = rules.language(request.language_code, "language_code", optional=True)
    output = rules.language(request.output_language_code, "output_language_code", optional=True)
    fallback = rules.language(request.fallback_language_code, "fallback_language_code", optional=True)
    rules.require(request.mode in pb.SummaryMode.values(), "mode", "is not a value of SummaryMode")
    rules.require(request.text_format in types_pb2.TextFormat.values(), "text_format", "is not a value of TextFormat")
    decoding = rules.decoding(request.decoding, "decoding")
    limit = _read_limit(request, rules)
    rules.enforce()
    refuse_markup(request.text_format, "text_format")
    return SummarizeRequest(
        tuple(request.contents),
        language,
        output,
        limit,
        _MODES.get(request.mode),
        request.model,
        fallback,
        decoding,
        call.deadline,
        call.caller,
    )


def _read_limit(request: pb.SummarizeTextRequest, rules: Rules) -> LengthLimit:
    match request.WhichOneof("length_limit"):
        case "sentence_count":
            count = request.sentence_count
            rules.require(1 <= count <= _MAX_SENTENCES, "sentence_count", f"is {count}; must be 1 to {_MAX_SENTENCES}")
            return LengthLimit(sentence_count=count)
        case "max_words":
            words = request.max_words
            rules.require(1 <= words <= _MAX_WORDS, "max_words", f"is {words}; must be 1 to {_MAX_WORDS}")
            return LengthLimit(max_words=words)
        case "ratio":
            ratio = request.ratio
            rules.require(0 < ratio < 1, "ratio", f"is {ratio:g}; must be above 0 and below 1")
            return LengthLimit(ratio=ratio)
        case _:
            rules.require(request.length in _SENTENCES, "length", "is not a value of SummaryLength")
            return LengthLimit(sentence_count=_SENTENCES.get(request.length, 1))


def _to_summary(summary: Summary) -> pb.Summary:
    message = pb.Summary(
        summary_text=summary.text,
        language_code=summary.language,
        flags=to_flags(summary.flags),
        models=summary.models,
        sentences=[
            pb.SummarySentence(
                text=sentence.text,
                summary_span=to_span(sentence.summary_span),
                rank_score=sentence.rank_score,
                source_spans=[to_span(span) for span in sentence.source_spans],
            )
            for sentence in summary.sentences
        ],
    )
    if summary.detected:
        message.detected_language_code = summary.detected.code
    if summary.error:
        message.error.CopyFrom(to_status(summary.error, request_id.get()))
        return message
    message.mode = pb.SummaryMode.Value(f"SUMMARY_MODE_{summary.mode.name}")
    message.input_coverage = summary.input_coverage
    return message
