"""Converts arguments to request messages, and response messages to the client's result types.

Both clients share these functions. Options have the names of the contract's fields. The names are looked up in the
message descriptors, so the client needs no list of its own.
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

# The contract's limits of one request. The limit in bytes keeps a message below gRPC's default limit of 4 MiB.
_MAX_CONTENTS = 1_024
_MAX_CONTENT_CHARACTERS = 1_000_000
_MAX_TOTAL_CHARACTERS = 2_000_000
_MAX_TOTAL_BYTES = 4_050_000
_LENGTH_LIMITS = ("sentence_count", "max_words", "ratio", "length")


@dataclass(frozen=True)
class Chunk:
    """The texts of one request, and their indices in the caller's list."""

    indices: tuple[int, ...]
    contents: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The texts of a call, divided into requests.

    `errors`: by index, the errors of texts that no request can contain. `count`: the number of all texts.
    """

    chunks: tuple[Chunk, ...]
    errors: Mapping[int, LatimerError]
    count: int


def plan_contents(texts: Iterable[str]) -> Plan:
    """Divides texts into requests within the limits. Raises `InvalidArgumentError` for an item that is not a valid
    str."""
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
    """Returns the size of a text in a message, in bytes. Raises `InvalidArgumentError` if it is not a valid str."""
    if not isinstance(text, str):
        raise InvalidArgumentError(f"item {index} is {type(text).__name__}; it must be a str")
    try:
        return len(text.encode()) + 8
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"item {index} cannot be encoded in UTF-8: it has a lone surrogate at code point {error.start}"
        ) from None


def find_fault(text: str, index: int) -> LatimerError | None:
    """Returns the error of a text that no message of a stream can contain; None for a valid text."""
    try:
        _measure(text, index)
    except InvalidArgumentError as error:
        return error
    return _too_long(text, index) if len(text) > _MAX_CONTENT_CHARACTERS else None


def _too_long(text: str, index: int) -> InvalidArgumentError:
    rule = f"has {len(text)} code points; at most {_MAX_CONTENT_CHARACTERS} are allowed"
    return InvalidArgumentError(f"item {index} {rule}", violations=((f"contents[{index}]", rule),))


def build_stream_config(
    targets: Sequence[str], source: str | None, options: Mapping[str, Any], *, ordered: bool
) -> translation_pb2.StreamTranslateTextConfig:
    """Returns the config of a stream. `options`: fields of the config, its TranslateOptions and its DecodingOptions."""
    config = translation_pb2.StreamTranslateTextConfig(
        source_language_code=source or "", target_language_codes=targets, ordered=ordered
    )
    set_options(config, options, ("options", "options.decoding"))
    return config


def build_translate(
    contents: Sequence[str], targets: Sequence[str], source: str | None, options: Mapping[str, Any]
) -> translation_pb2.TranslateTextRequest:
    """Returns a TranslateText request. `options`: fields of the request, its TranslateOptions and its
    DecodingOptions."""
    request = translation_pb2.TranslateTextRequest(
        contents=contents, source_language_code=source or "", target_language_codes=targets
    )
    set_options(request, options, ("options", "options.decoding"))
    return request


def build_summarize(contents: Sequence[str], fields: Mapping[str, Any]) -> summarization_pb2.SummarizeTextRequest:
    """Returns a SummarizeText request. Raises `InvalidArgumentError` if `fields` has more than one length limit."""
    limits = [name for name in _LENGTH_LIMITS if fields.get(name) is not None]
    if len(limits) > 1:
        raise InvalidArgumentError(f"{' and '.join(limits)} exclude each other; give only one of them")
    request = summarization_pb2.SummarizeTextRequest(contents=contents)
    set_options(request, fields, ("decoding",))
    return request


def set_options(request: Message, options: Mapping[str, Any], nested: Sequence[str]) -> None:
    """Sets options in a request by the names of their fields.

    `nested`: paths of submessages whose fields are options as well. A value of None is skipped. Enum values are
    strings, in upper or lower case, with or without their prefix. Raises `InvalidArgumentError` for an unknown name or
    an invalid value.
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
            raise InvalidArgumentError(f"there is no option {name!r}; options have the names of the contract's fields")


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
    """Yields the translations of each content, one for each target language."""
    for result in response.results:
        yield read_result(result, source)


def read_result(result: translation_pb2.TranslationResult, source: str | None) -> list[types.Translation]:
    """Returns the translations of one content, one for each target language."""
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
    """Yields the summary of each content."""
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
    """Yields the detected language of each content."""
    for message in response.detections:
        candidates = tuple(types.LanguageCandidate(c.language_code, c.confidence) for c in message.candidates)
        best = candidates[0] if candidates else types.LanguageCandidate("und", 0.0)
        yield types.Detection(best.language, best.confidence, message.reliable, candidates)


def read_pairs(response: translation_pb2.ListLanguagePairsResponse) -> list[types.LanguagePair]:
    """Returns the language pairs of one page."""
    return [
        types.LanguagePair(pair.source_language_code, pair.target_language_code, tuple(pair.models))
        for pair in response.language_pairs
    ]


def read_models(response: models_pb2.ListModelsResponse) -> list[types.Model]:
    """Returns the models of one page."""
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
    """Returns the names of flags without the prefix `FLAG_`. A flag that only a newer server knows is its number."""
    known = types_pb2.Flag.values()
    return tuple(_strip(types_pb2.Flag.Name(flag), "FLAG_") if flag in known else str(flag) for flag in flags)


def _strip(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)
