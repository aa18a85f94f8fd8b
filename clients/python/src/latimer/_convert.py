"""Converts response messages to the client's result types. Both clients share these functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from google.protobuf.descriptor import EnumDescriptor

from latimer import types
from latimer._status import convert_status
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2, types_pb2


def read_translations(
    response: translation_pb2.TranslateTextResponse, source: str, request_id: str
) -> Iterator[list[types.Translation]]:
    """Yields the translations of each content, one for each target language."""
    usage = read_usage(response.usage) if response.HasField("usage") else None
    for result in response.results:
        yield read_result(result, source, request_id, usage)


def read_result(
    result: translation_pb2.TranslationResult, source: str, request_id: str, usage: types.Usage | None = None
) -> list[types.Translation]:
    """Returns the translations of one content, one for each target language."""
    language = source or result.detected_language_code
    return [
        types.Translation(
            text=message.translated_text,
            source_language=language,
            target_language=message.target_language_code,
            flags=_read_flags(message.flags) if message.flags else (),
            segments=tuple(map(_read_segment, message.segments)) if message.segments else (),
            models=tuple(message.models),
            score=message.avg_log_prob,
            usage=usage,
            error=convert_status(message.error, request_id) if message.HasField("error") else None,
        )
        for message in result.translations
    ]


def read_usage(usage: types_pb2.Usage) -> types.Usage:
    """Returns the cost of a request or a stream."""
    return types.Usage(
        characters=usage.characters,
        segments=usage.segments,
        cached_segments=usage.cached_segments,
        retried_segments=usage.retried_segments,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        queue_seconds=usage.queue_time.ToTimedelta().total_seconds(),
        compute_seconds=usage.compute_time.ToTimedelta().total_seconds(),
    )


def _read_segment(message: translation_pb2.Segment) -> types.Segment:
    return types.Segment(
        text=message.translated_text,
        source_span=_read_span(message.source_span),
        target_span=_read_span(message.target_span),
        score=message.avg_log_prob,
        flags=_read_flags(message.flags),
        alignment=tuple(
            types.AlignmentLink(
                source_span=_read_span(link.source_span), target_span=_read_span(link.target_span), score=link.score
            )
            for link in message.alignment
        ),
        alternatives=tuple(
            types.Alternative(text=other.translated_text, score=other.avg_log_prob) for other in message.alternatives
        ),
    )


def read_summaries(
    response: summarization_pb2.SummarizeTextResponse, source: str, request_id: str
) -> Iterator[types.Summary]:
    """Yields the summary of each content."""
    usage = read_usage(response.usage) if response.HasField("usage") else None
    for message in response.summaries:
        yield types.Summary(
            text=message.summary_text,
            sentences=tuple(
                types.SummarySentence(
                    text=sentence.text,
                    summary_span=_read_span(sentence.summary_span),
                    rank_score=sentence.rank_score,
                    source_spans=tuple(map(_read_span, sentence.source_spans)),
                )
                for sentence in message.sentences
            ),
            flags=_read_flags(message.flags),
            models=tuple(message.models),
            language=message.language_code,
            source_language=source or message.detected_language_code,
            mode=_read_name(summarization_pb2.SummaryMode.DESCRIPTOR, message.mode) if message.mode else "",
            input_coverage=message.input_coverage,
            usage=usage,
            error=convert_status(message.error, request_id) if message.HasField("error") else None,
        )


def read_detections(response: translation_pb2.DetectLanguageResponse) -> Iterator[types.Detection]:
    """Yields the detected language of each content."""
    for message in response.detections:
        candidates = tuple(
            types.LanguageCandidate(language=found.language_code, confidence=found.confidence)
            for found in message.candidates
        )
        best = candidates[0] if candidates else types.LanguageCandidate(language="und", confidence=0.0)
        yield types.Detection(
            language=best.language, confidence=best.confidence, reliable=message.reliable, candidates=candidates
        )


def read_pairs(response: translation_pb2.ListLanguagePairsResponse) -> list[types.LanguagePair]:
    """Returns the language pairs of one page."""
    return [
        types.LanguagePair(
            source_language=pair.source_language_code,
            target_language=pair.target_language_code,
            models=tuple(pair.models),
        )
        for pair in response.language_pairs
    ]


def read_model(model: models_pb2.Model) -> types.Model:
    """Returns a model of the catalogue."""
    return types.Model(
        name=model.name,
        state=_read_name(models_pb2.ModelState.DESCRIPTOR, model.state),
        task=_read_name(models_pb2.ModelTask.DESCRIPTOR, model.task),
        family=model.family,
        backend=model.backend,
        compute_type=model.compute_type,
        source_languages=tuple(model.source_language_codes),
        target_languages=tuple(model.target_language_codes),
        max_input_tokens=model.max_input_tokens,
        memory_bytes=model.memory_bytes,
        revision=model.revision,
        sha256=model.sha256,
        license=model.license,
        attribution=model.attribution,
        error_message=model.error_message,
    )


def _read_span(span: types_pb2.Span) -> types.Span:
    return types.Span(start=span.start, end=span.end)


def _read_flags(flags: Iterable[int]) -> tuple[str, ...]:
    names = _names(types_pb2.Flag.DESCRIPTOR)
    return tuple(names.get(flag) or str(flag) for flag in flags)


def _read_name(enum: EnumDescriptor, number: int) -> str:
    """Returns the name of an enum value without its prefix. A value that only a newer server knows is its number."""
    return _names(enum).get(number) or str(number)


@cache
def _names(enum: EnumDescriptor) -> dict[int, str]:
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix) for value in enum.values}
