"""Fields of a serialized message are counted before it is parsed."""

from __future__ import annotations

from typing import cast

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from latimer.v1 import summarization_pb2, types_pb2
from latimer.v1 import translation_pb2 as pb
from latimer_server.core.errors import InvalidRequest
from latimer_server.rpc.call_handler import Method
from latimer_server.rpc.servicers.wire_fields import check_field_counts

LONG = "a" * 40_000


def count(data: bytes, kind: type[Message]) -> None:
    check_field_counts(data, cast(Descriptor, kind.DESCRIPTOR))


def refuse(data: bytes, kind: type[Message]) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        count(data, kind)
    (violation,) = caught.value.violations
    return violation.field, violation.description


@pytest.mark.parametrize(
    ("message", "field", "rule"),
    [
        (
            pb.TranslateTextRequest(contents=[""] * 20_000),
            "contents",
            "has more than 1024 items; 1 to 1024 are allowed",
        ),
        (
            pb.TranslateTextRequest(options=pb.TranslateOptions(glossary_terms=[pb.GlossaryTerm()] * 20_000)),
            "options.glossary_terms",
            "has more than 1000 items; at most 1000 are allowed",
        ),
        (
            pb.TranslateTextRequest(options=pb.TranslateOptions(error_flags=[types_pb2.FLAG_PIVOTED] * 40_000)),
            "options.error_flags",
            "has more than 64 items; at most 64 are allowed",
        ),
        (
            pb.StreamTranslateTextRequest(items=[pb.StreamItem()] * 20_000),
            "items",
            "has more than 1024 items; at most 1024 are allowed",
        ),
    ],
)
def test_a_list_beyond_its_bound_is_named(message: Message, field: str, rule: str) -> None:
    assert refuse(message.SerializeToString(), type(message)) == (field, rule)


@pytest.mark.parametrize(
    "field",
    [
        b"\xfa\x3e\x00",  # an unknown field, of no bytes
        b"\x2a\x00",  # `options` again and again, which a parser merges
        b"\xf8\x3e\x01",  # a number
        b"\xfb\x3e\xfc\x3e",  # a group
    ],
)
def test_a_message_of_very_many_fields_is_refused(field: bytes) -> None:
    assert refuse(field * 40_000, pb.TranslateTextRequest) == ("", "has more than 20000 fields")


@pytest.mark.parametrize(
    "message",
    [
        pb.TranslateTextRequest(contents=[LONG] * 100, source_language_code="en", target_language_codes=["pt"]),
        pb.TranslateTextRequest(
            contents=["a" * 50] * 1_024,
            options=pb.TranslateOptions(
                glossary_terms=[pb.GlossaryTerm(source_text="a" * 200, target_text="b" * 200)] * 1_000,
                phrases=["a" * 200] * 1_000,
            ),
        ),
        pb.StreamTranslateTextRequest(items=[pb.StreamItem(item_id="7", content="a" * 100)] * 1_024),
        summarization_pb2.SummarizeTextRequest(contents=[LONG] * 20),
    ],
)
def test_large_requests_within_their_bounds_pass(message: Message) -> None:
    count(message.SerializeToString(), type(message))


@given(st.binary(max_size=200), st.integers(0, 200), st.sampled_from([1, 400]))
def test_any_bytes_are_left_to_the_parser_or_refused(noise: bytes, cut: int, times: int) -> None:
    data = pb.TranslateTextRequest(contents=[LONG]).SerializeToString()
    data = data[: len(data) - cut] + noise * times
    try:
        count(data, pb.TranslateTextRequest)
    except InvalidRequest:
        return
    try:
        message = pb.TranslateTextRequest.FromString(data)
    except DecodeError:
        return
    assert len(message.contents) <= 1_024


def test_a_method_counts_before_it_parses() -> None:
    def parse(data: bytes) -> Message:
        raise AssertionError

    method = Method("/a.B/C", parse, request=pb.TranslateTextRequest.DESCRIPTOR)
    with pytest.raises(InvalidRequest):
        method.read(pb.TranslateTextRequest(contents=[""] * 50_000).SerializeToString())
