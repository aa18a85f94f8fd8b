"""Converts arguments to request messages.

Options have the names of the contract's fields. The names are looked up in the message descriptors, so this module
needs no list of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from latimer._texts import check_texts
from latimer.errors import InvalidArgumentError
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2

# Fields that the client fills itself.
_OWN = frozenset({"contents", "target_language_codes", "ordered", "page_size", "page_token"})
# Arguments of the client that have other names than their fields.
_ARGUMENTS = {"sentence_count": "sentences", "output_language_code": "target", "language_code": "source"}
_LENGTH_LIMITS = ("sentence_count", "max_words", "ratio", "length")


def check_targets(target: object) -> list[str]:
    """Returns the target languages. Raises `InvalidArgumentError` unless `target` is a code or a list of codes."""
    check_texts(target, "target")
    targets: list[Any] = [target] if isinstance(target, str) else list(target)  # type: ignore[call-overload]
    for code in targets:
        if not isinstance(code, str):
            raise InvalidArgumentError(f"target has an item of type {type(code).__name__}; it must be a language code")
    if not targets:
        raise InvalidArgumentError("target is an empty list; give at least one language code, such as 'pt'")
    return targets


def check_language(name: str, code: object) -> str:
    """Returns a language code, "" for None. Raises `InvalidArgumentError` for any other object than a str."""
    if code is None:
        return ""
    if not isinstance(code, str):
        raise InvalidArgumentError(f"{name} is {type(code).__name__}; it must be a language code, or None to detect it")
    return code


def check_names(call: OptionNames, options: Mapping[str, Any]) -> None:
    """Raises `InvalidArgumentError` if there is no option of a name, and suggests a similar one."""
    known = set(call.names())
    for name in options:
        if name not in known:
            import difflib  # only for the message

            similar = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {similar[0]!r}?" if similar else "options have the names of the contract's fields"
            raise InvalidArgumentError(f"there is no option {name!r}; {hint}")


@dataclass(frozen=True)
class OptionNames:
    """The options of a call: the fields of its request and of `nested`, paths of submessages, but for the fields that
    the client fills itself."""

    request: type[Message]
    nested: tuple[str, ...] = ()

    def names(self) -> Iterator[str]:
        """Yields the names of all options."""
        for path in ("", *self.nested):
            yield from (
                field.name for field in _descend(self.request.DESCRIPTOR, path).fields if field.name not in _OWN
            )


_NESTED = ("options", "options.decoding")
TRANSLATE = OptionNames(translation_pb2.TranslateTextRequest, _NESTED)
STREAM = OptionNames(translation_pb2.StreamTranslateTextConfig, _NESTED)
SUMMARIZE = OptionNames(summarization_pb2.SummarizeTextRequest, ("decoding",))
DETECT = OptionNames(translation_pb2.DetectLanguageRequest)
MODELS = OptionNames(models_pb2.ListModelsRequest)


def build_stream_config(
    targets: Sequence[str], source: str | None, options: Mapping[str, Any], *, ordered: bool
) -> translation_pb2.StreamTranslateTextConfig:
    """Returns the config of a stream. `options`: fields of the config, its TranslateOptions and its DecodingOptions."""
    config = translation_pb2.StreamTranslateTextConfig(ordered=ordered)
    _set_languages(config, targets, source)
    set_options(config, options, _NESTED)
    return config


def build_translate(
    contents: Sequence[str], targets: Sequence[str], source: str | None, options: Mapping[str, Any]
) -> translation_pb2.TranslateTextRequest:
    """Returns a TranslateText request. `options`: fields of the request, its TranslateOptions and its
    DecodingOptions."""
    request = translation_pb2.TranslateTextRequest(contents=contents)
    _set_languages(request, targets, source)
    set_options(request, options, _NESTED)
    return request


def _set_languages(request: Any, targets: Sequence[str], source: str | None) -> None:
    try:
        request.source_language_code = source or ""
        request.target_language_codes.extend(targets)
    except UnicodeEncodeError as error:
        raise InvalidArgumentError("a language code has a lone surrogate, which cannot be encoded in UTF-8") from error


def build_summarize(contents: Sequence[str], fields: Mapping[str, Any]) -> summarization_pb2.SummarizeTextRequest:
    """Returns a SummarizeText request. Raises `InvalidArgumentError` if `fields` has more than one length limit."""
    limits = [name for name in _LENGTH_LIMITS if fields.get(name) is not None]
    if len(limits) > 1:
        names = [_ARGUMENTS.get(name, name) for name in limits]
        raise InvalidArgumentError(f"{' and '.join(names)} exclude each other; give only one of them")
    request = summarization_pb2.SummarizeTextRequest(contents=contents)
    set_options(request, fields, ("decoding",))
    return request


def set_options(request: Message, options: Mapping[str, Any], nested: Sequence[str] = ()) -> None:
    """Sets options in a request by the names of their fields.

    `nested`: paths of submessages whose fields are options as well. A value of None is skipped. Enum values are
    strings, in upper or lower case, with or without their prefix. Raises `InvalidArgumentError` for an unknown name or
    an invalid value.
    """
    if not options:
        return
    from google.protobuf.json_format import ParseDict, ParseError  # a tenth of the time of the client's import

    check_names(OptionNames(type(request), tuple(nested)), options)
    for name, value in options.items():
        if value is None:
            continue
        path = next(path for path in ("", *nested) if name in _descend(request.DESCRIPTOR, path).fields_by_name)
        field = _descend(request.DESCRIPTOR, path).fields_by_name[name]
        message: Any = request
        for part in filter(None, path.split(".")):
            message = getattr(message, part)
        try:
            ParseDict({name: _to_json(field, value)}, message)
        except (ParseError, TypeError, ValueError) as error:
            raise InvalidArgumentError(f"option {_ARGUMENTS.get(name, name)}: {error}") from error


def _descend(descriptor: Any, path: str) -> Descriptor:
    for part in filter(None, path.split(".")):
        descriptor = descriptor.fields_by_name[part].message_type
    found: Descriptor = descriptor
    return found


def _to_json(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_to_json_value(field, item) for item in value]
    if field.is_repeated:
        raise ValueError(f"it takes a list, but got {type(value).__name__}")
    return _to_json_value(field, value)


def _to_json_value(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None and isinstance(value, str):
        names = [entry.name for entry in field.enum_type.values]
        prefix = names[0].removesuffix("UNSPECIFIED")
        wanted = prefix + value.upper().replace("-", "_").removeprefix(prefix)
        if wanted not in names:
            known = ", ".join(name.removeprefix(prefix).lower() for name in names[1:])
            raise ValueError(f"{str(value)!r} is not one of {known}")
        return wanted
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"it is {value}, not a finite number")
    return value
