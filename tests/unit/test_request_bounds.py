"""Every list and string of the request messages has a bound."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from latimer.v1 import models_pb2, summarization_pb2, translation_pb2
from latimer_server.core.errors import InvalidRequest
from latimer_server.rpc.error_status import MAX_VIOLATIONS
from latimer_server.rpc.servicers.request_bounds import BOUNDS, check_bounds

_TEXT = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def list_requests() -> Iterator[Descriptor]:
    """The messages that callers send, with those inside them."""
    files = (translation_pb2.DESCRIPTOR, summarization_pb2.DESCRIPTOR, models_pb2.DESCRIPTOR)
    waiting = [
        method.input_type for file in files for service in file.services_by_name.values() for method in service.methods
    ]
    seen = set()
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name not in seen:
            seen.add(descriptor.full_name)
            yield descriptor
            waiting += [field.message_type for field in descriptor.fields if field.message_type]


FIELDS = [
    (descriptor.full_name, field)
    for descriptor in list_requests()
    for field in descriptor.fields
    if field.is_repeated or field.type in _TEXT
]


@pytest.mark.parametrize(("message", "field"), FIELDS, ids=lambda value: getattr(value, "name", value))
def test_every_list_and_string_has_a_bound(message: str, field: FieldDescriptor) -> None:
    bound = BOUNDS[message][field.name]
    assert (bound.items is not None) == field.is_repeated
    assert (bound.characters is not None) == (field.type in _TEXT)


def test_the_table_names_no_field_that_does_not_exist() -> None:
    assert {(message, field.name) for message, field in FIELDS} == {
        (message, name) for message, fields in BOUNDS.items() for name in fields
    }


def test_at_most_sixteen_violations_are_named() -> None:
    message = translation_pb2.TranslateTextRequest(contents=["x"])
    message.options.phrases.extend(["x" * 300] * 500)
    with pytest.raises(InvalidRequest) as caught:
        check_bounds(message)
    assert len(caught.value.violations) == MAX_VIOLATIONS
    assert caught.value.violations[0].field == "options.phrases[0]"


def test_what_is_within_its_bounds_passes() -> None:
    message = translation_pb2.TranslateTextRequest(contents=["x" * 1_000_000], target_language_codes=["pt"] * 16)
    check_bounds(message)
