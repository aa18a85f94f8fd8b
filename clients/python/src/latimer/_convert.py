"""Arguments to request messages, and answers to values; both clients share it.

Knows the contract's messages; nothing of channels. Options are the contract's own field names: they are
looked up in its descriptors, so that there is no second list of them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from latimer import types
from latimer._channel import convert_status
from latimer.errors import InvalidArgumentError, LatimerError
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2, types_pb2

# The contract's limits of one request; and bytes, so that a message stays under gRPC's own 4 MiB.
_MAX_CONTENTS = 1_024
_MAX_CONTENT_CHARACTERS = 1_000_000
_MAX_TOTAL_CHARACTERS = 2_000_000
_MAX_TOTAL_BYTES = 4_050_000
_LENGTH_LIMITS = ("sentence_count", "max_words", "ratio", "length")


@dataclass(frozen=True)
class Chunk:
    """The texts of one request, and where each stands in the caller's list."""

    indices: tuple[int, ...]
    contents: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A caller's texts as requests; `errors` are those of items that no request can carry."""

    chunks: tuple[Chunk, ...]
    errors: Mapping[int, LatimerError]
    count: int


def plan_contents(texts: Iterable[str]) -> Plan:
    """Splits texts into requests that fit. Raises `InvalidArgumentError` naming an item that is no text."""
    chunks: list[Chunk] = []
    errors: dict[int, LatimerError] = {}
    indices: list[int] = []
    contents: list[str] = []
    characters = size = count = 0
    for index, text in enumerate(texts):
        count += 1
        encoded = _measure(text, index)
        if len(text) > _MAX_CONTENT_CHARACTERS:
            errors[index] = _too_long(text, index)
            continue
        full = len(contents) == _MAX_CONTENTS or characters + len(text) > _MAX_TOTAL_CHARACTERS
        if contents and (full or size + encoded > _MAX_TOTAL_BYTES):
            chunks.append(Chunk(tuple(indices), tuple(contents)))
            indices, contents, characters, size = [], [], 0, 0
        indices.append(index)
        contents.append(text)
        characters += len(text)
        size += encoded
    if contents:
        chunks.append(Chunk(tuple(indices), tuple(contents)))
    return Plan(tuple(chunks), errors, count)


def _measure(text: object, index: int) -> int:
    """The bytes that a text takes in a message."""
    if not isinstance(text, str):
        raise InvalidArgumentError(f"item {index} is {type(text).__name__}, not str")
    try:
        return len(text.encode()) + 8
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"item {index} cannot be UTF-8: a lone surrogate at code point {error.start}"
        ) from None


def find_fault(text: str, index: int) -> LatimerError | None:
    """Why no message can carry a text of a stream, if none can."""
    try:
        _measure(text, index)
    except InvalidArgumentError as error:
        return error
    return _too_long(text, index) if len(text) > _MAX_CONTENT_CHARACTERS else None


def _too_long(text: str, index: int) -> InvalidArgumentError:
    rule = f"has {len(text)} code points; at most {_MAX_CONTENT_CHARACTERS}"
    return InvalidArgumentError(f"item {index} {rule}", violations=((f"contents[{index}]", rule),))


def build_stream_config(
    targets: Sequence[str], source: str | None, options: Mapping[str, Any], *, ordered: bool
) -> translation_pb2.StreamTranslateTextConfig:
    """The config of a stream. `options` are its fields, those of its options and of their decoding."""
    config = translation_pb2.StreamTranslateTextConfig(
        source_language_code=source or "", target_language_codes=targets, ordered=ordered
    )
    set_options(config, options, ("options", "options.decoding"))
    return config


def build_translate(
    contents: Sequence[str], targets: Sequence[str], source: str | None, options: Mapping[str, Any]
) -> translation_pb2.TranslateTextRequest:
    """A TranslateText request. `options` are fields of the request, its options and its decoding."""
    request = translation_pb2.TranslateTextRequest(
        contents=contents, source_language_code=source or "", target_language_codes=targets
    )
    set_options(request, options, ("options", "options.decoding"))
    return request


def build_summarize(contents: Sequence[str], fields: Mapping[str, Any]) -> summarization_pb2.SummarizeTextRequest:
    """A SummarizeText request. At most one of the length limits may be given."""
    limits = [name for name in _LENGTH_LIMITS if fields.get(name) is not None]
    if len(limits) > 1:
        raise InvalidArgumentError(f"{' and '.join(limits)} exclude each other; give one")
    request = summarization_pb2.SummarizeTextRequest(contents=contents)
    set_options(request, fields, ("decoding",))
    return request


def set_options(request: Message, options: Mapping[str, Any], nested: Sequence[str]) -> None:
    """Sets options by their field names, wherever in the request the field is.

    `nested` are paths of messages whose fields are options too. Enum values are strings in any case,
    without their prefix. Raises `InvalidArgumentError` for a name or value that the contract has not.
    """
    for name, value in options.items():
        if value is None:
            continue
        for path in ("", *nested):
            message: Any = request
            descriptor: Any = request.DESCRIPTOR
            for part in filter(None, path.split(".")):
                descriptor = descriptor.fields_by_name[part].message_type
            field = descriptor.fields_by_name.get(name)
            if field is None:
                continue
            for part in filter(None, path.split(".")):
                message = getattr(message, part)
            try:
                ParseDict({name: _to_json(field, value)}, message)
            except (ParseError, TypeError, ValueError) as error:
                raise InvalidArgumentError(f"option {name}: {error}") from error
            break
        else:
            raise InvalidArgumentError(f"there is no option {name!r}; see the contract's fields")


def _to_json(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_to_json_value(field, item) for item in value]
    return _to_json_value(field, value)


def _to_json_value(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None and isinstance(value, str):
        names = [entry.name for entry in field.enum_type.values]
        prefix = names[0].removesuffix("UNSPECIFIED")
        wanted = prefix + value.upper().replace("-", "_").removeprefix(prefix)
        if wanted not in names:
            known = ", ".join(name.removeprefix(prefix).lower() for name in names[1:])
            raise ValueError(f"{value!r} is not one of {known}")
        return wanted
    return value


def read_translations(
    response: translation_pb2.TranslateTextResponse, source: str | None
) -> Iterator[list[types.Translation]]:
    """For each content, its translation in each target language."""
    for result in response.results:
        yield read_result(result, source)


def read_result(result: translation_pb2.TranslationResult, source: str | None) -> list[types.Translation]:
    """The translations of one content."""
    language = source or result.detected_language_code
    return [_read_translation(translation, language) for translation in result.translations]


def _read_translation(message: translation_pb2.Translation, source: str) -> types.Translation:
    return types.Translation(
        text=message.translated_text,
        source_language=source,
        target_language=message.target_language_code,
        flags=_read_flags(message.flags),
        segments=tuple(_read_segment(segment) for segment in message.segments),
        models=tuple(message.models),
        score=message.avg_log_prob,
        error=convert_status(message.error) if message.HasField("error") else None,
    )


def _read_segment(message: translation_pb2.Segment) -> types.Segment:
    return types.Segment(
        text=message.translated_text,
        source_span=_read_span(message.source_span),
        target_span=_read_span(message.target_span),
        score=message.avg_log_prob,
        flags=_read_flags(message.flags),
        alignment=tuple(
            types.AlignmentLink(_read_span(link.source_span), _read_span(link.target_span), link.score)
            for link in message.alignment
        ),
        alternatives=tuple(types.Alternative(a.translated_text, a.avg_log_prob) for a in message.alternatives),
    )


def read_summaries(response: summarization_pb2.SummarizeTextResponse) -> Iterator[types.Summary]:
    """The summary of each content."""
    for message in response.summaries:
        yield types.Summary(
            text=message.summary_text,
            sentences=tuple(
                types.SummarySentence(
                    sentence.text,
                    _read_span(sentence.summary_span),
                    sentence.rank_score,
                    tuple(_read_span(span) for span in sentence.source_spans),
                )
                for sentence in message.sentences
            ),
            flags=_read_flags(message.flags),
            models=tuple(message.models),
            language=message.language_code,
            mode=_strip(summarization_pb2.SummaryMode.Name(message.mode), "SUMMARY_MODE_") if message.mode else "",
            input_coverage=message.input_coverage,
            error=convert_status(message.error) if message.HasField("error") else None,
        )


def read_detections(response: translation_pb2.DetectLanguageResponse) -> Iterator[types.Detection]:
    """The language of each content."""
    for message in response.detections:
        candidates = tuple(types.LanguageCandidate(c.language_code, c.confidence) for c in message.candidates)
        best = candidates[0] if candidates else types.LanguageCandidate("und", 0.0)
        yield types.Detection(best.language, best.confidence, message.reliable, candidates)


def read_pairs(response: translation_pb2.ListLanguagePairsResponse) -> list[types.LanguagePair]:
    """One page of pairs."""
    return [
        types.LanguagePair(pair.source_language_code, pair.target_language_code, tuple(pair.models))
        for pair in response.language_pairs
    ]


def read_models(response: models_pb2.ListModelsResponse) -> list[types.Model]:
    """One page of models."""
    return [
        types.Model(
            name=model.name,
            state=_strip(models_pb2.ModelState.Name(model.state), "MODEL_STATE_"),
            task=_strip(models_pb2.ModelTask.Name(model.task), "MODEL_TASK_"),
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
        for model in response.models
    ]


def _read_span(span: types_pb2.Span) -> types.Span:
    return types.Span(span.start, span.end)


def _read_flags(flags: Iterable[types_pb2.Flag.ValueType]) -> tuple[str, ...]:
    """Names without prefix; a flag of a newer server is its number."""
    known = types_pb2.Flag.values()
    return tuple(_strip(types_pb2.Flag.Name(flag), "FLAG_") if flag in known else str(flag) for flag in flags)


def _strip(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)
