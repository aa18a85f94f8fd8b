"""Messages of requests: large ones are unpacked one at a time, so that hostile ones do not add up their memory."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from latimer.v1 import translation_pb2 as pb
from latimer_server.core.errors import InvalidRequest
from latimer_server.rpc.call_handler import Method


@pytest.mark.parametrize(("size", "alone"), [(100, False), (300_000, True)])
def test_a_large_message_is_parsed_while_no_other_one_is(size: int, alone: bool) -> None:
    held: list[bool] = []

    def parse(data: bytes) -> Message:
        held.append(method.large.locked())
        return pb.TranslateTextRequest.FromString(data)

    method = Method("/latimer.v1.TranslationService/TranslateText", parse)
    data = pb.TranslateTextRequest(contents=["a" * size]).SerializeToString()
    for _ in range(2):
        method.read(data)
    assert held == [alone] * 2


def test_a_refused_message_lets_the_next_one_in() -> None:
    method = Method("/latimer.v1.TranslationService/TranslateText", pb.TranslateTextRequest.FromString)
    hostile = pb.TranslateTextRequest(contents=[""] * 500_000).SerializeToString()
    for data in (hostile, b"\xff" * 500_000, hostile):
        with pytest.raises(InvalidRequest):
            method.read(data)
