"""The typed options and the constants of the client are those of the contract, by its descriptors."""

from __future__ import annotations

import types as python_types
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

import latimer
from latimer import Flag, InvalidArgumentError, ModelState, ModelTask, SummaryMode, _requests, options
from latimer.enums import NOTES
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2, types_pb2

# Fields of a request that are arguments of the client's methods, or submessages whose fields are options.
ARGUMENTS = {
    options.TranslateOptions: {"source_language_code", "options", "decoding"},
    options.SummarizeOptions: {
        "language_code",
        "output_language_code",
        "mode",
        "length",
        "sentence_count",
        "decoding",
    },
    options.DetectOptions: set(),
    options.ModelFilters: set(),
}
CALLS = [
    (options.TranslateOptions, _requests.TRANSLATE),
    (options.TranslateOptions, _requests.STREAM),
    (options.SummarizeOptions, _requests.SUMMARIZE),
    (options.DetectOptions, _requests.DETECT),
    (options.ModelFilters, _requests.MODELS),
]
SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_FLOAT: float,
    FieldDescriptor.CPPTYPE_BOOL: bool,
    FieldDescriptor.CPPTYPE_STRING: str,
}


def names_of(enum: Any) -> list[str]:
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return [value.name.removeprefix(prefix) for value in enum.values[1:]]


def fields_of(call: _requests.OptionNames) -> Iterator[tuple[str, Any]]:
    for path in ("", *call.nested):
        descriptor: Any = call.request.DESCRIPTOR
        for part in filter(None, path.split(".")):
            descriptor = descriptor.fields_by_name[part].message_type
        yield from descriptor.fields_by_name.items()


@pytest.mark.parametrize(("typed", "call"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_every_option_of_the_contract_is_a_typed_keyword(typed: Any, call: _requests.OptionNames) -> None:
    hints = get_type_hints(typed)
    assert set(hints) == set(call.names()) - ARGUMENTS[typed]
    for name, field in fields_of(call):
        if name in hints:
            check_type(name, hints[name], field)


def check_type(name: str, hint: Any, field: Any) -> None:
    assert get_origin(hint) in (Union, python_types.UnionType), name
    members = [member for member in get_args(hint) if member is not type(None)]
    assert len(members) < len(get_args(hint)), f"{name} cannot be left out by None"
    if field.is_repeated:
        (sequence,) = members
        assert get_origin(sequence) is Sequence
        members = list(get_args(sequence))
    if field.enum_type is not None:
        check_names(name, members, field.enum_type)
    elif field.message_type is not None:
        assert members == [options.GlossaryTerm]
        assert set(get_type_hints(options.GlossaryTerm)) == set(field.message_type.fields_by_name)
    else:
        assert members == [SCALARS[field.cpp_type]], name


def check_names(name: str, members: list[Any], enum: EnumDescriptor) -> None:
    """Checks that the literals of an option, or the constants that it takes, are the names of the enum."""
    flat = [
        inner
        for member in members
        for inner in (get_args(member) if get_origin(member) in (Union, python_types.UnionType) else [member])
    ]
    literals = [value for member in flat if get_origin(member) is Literal for value in get_args(member)]
    constants = [member for member in flat if isinstance(member, type) and issubclass(member, Enum)]
    assert literals or constants, name
    if literals:
        assert literals == [value.lower() for value in names_of(enum)], name
    for constant in constants:
        assert [member.value for member in constant] == names_of(enum), name


@pytest.mark.parametrize(
    ("constant", "enum"),
    [
        (Flag, types_pb2.Flag.DESCRIPTOR),
        (ModelState, models_pb2.ModelState.DESCRIPTOR),
        (ModelTask, models_pb2.ModelTask.DESCRIPTOR),
        (SummaryMode, summarization_pb2.SummaryMode.DESCRIPTOR),
    ],
)
def test_the_constants_are_those_of_the_contract(constant: type[Enum], enum: EnumDescriptor) -> None:
    assert [(member.name, member.value) for member in constant] == [(name, name) for name in names_of(enum)]


def test_arguments_of_summarize_have_the_names_of_the_contract() -> None:
    length: Any = summarization_pb2.SummaryLength.DESCRIPTOR
    assert [name.upper() for name in get_args(options.SummaryLengthName)] == names_of(length)
    mode: Any = summarization_pb2.SummaryMode.DESCRIPTOR
    assert {name.upper() for name in get_args(options.SummaryModeName)} == set(names_of(mode))


def test_notes_and_warnings_are_told_apart_as_the_contract_documents() -> None:
    values = types_pb2.Flag.DESCRIPTOR.values[1:]
    notes = {value.name.removeprefix("FLAG_") for value in values if value.number < 20}
    assert {flag.value for flag in NOTES} == notes
    assert {name for name in Flag if not latimer.is_warning(name)} == NOTES
    assert (latimer.is_warning("7"), latimer.is_warning("99")) == (False, True)


def test_constants_are_strings() -> None:
    assert (str(Flag.CACHED), f"{Flag.CACHED:>8}", Flag.CACHED == "CACHED") == ("CACHED", "  CACHED", True)
    request = _requests.build_summarize(["a"], {"mode": SummaryMode.HYBRID})
    assert request.mode == summarization_pb2.SUMMARY_MODE_HYBRID


@pytest.mark.parametrize("name", ["contents", "target_language_codes", "page_token", "ordered", "colour"])
def test_fields_that_the_client_fills_are_no_options(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"no option '{name}'"):
        _requests.build_translate(["a"], ["pt"], None, {name: ["x"]})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"sentence_spliting": "off"}, "did you mean 'sentence_splitting'"),
        ({"phrases": "Latimer"}, "option phrases: it takes a list"),
        ({"beam_size": "many"}, "option beam_size"),
        ({"glossary_terms": [{"source": "a"}]}, "option glossary_terms"),
        ({"phrases": ["\ud800"]}, "option phrases"),
        ({"length_penalty": float("nan")}, "option length_penalty: it is nan"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        _requests.build_translate(["a"], ["pt"], None, given)


def test_a_request_has_the_languages_that_were_given() -> None:
    request = _requests.build_translate(["a"], ["pt", "es"], "en", {})
    assert isinstance(request, translation_pb2.TranslateTextRequest)
    assert (request.source_language_code, list(request.target_language_codes)) == ("en", ["pt", "es"])


def test_arguments_are_named_as_the_caller_wrote_them() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^sentences and length exclude each other"):
        _requests.build_summarize(["a"], {"sentence_count": 1, "length": "short"})
    with pytest.raises(InvalidArgumentError, match="option sentences"):
        _requests.build_summarize(["a"], {"sentence_count": "one"})
