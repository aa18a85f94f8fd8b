"""An error that repeats what its caller has sent shows controls as escapes."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from latimer.v1 import models_pb2, summarization_pb2
from latimer.v1 import translation_pb2 as pb

CONTROLS = "\x1b[31m\x00\r\n\x9b\u202e\u2028"
TRANSLATE = "/latimer.v1.TranslationService/TranslateText"
SUMMARIZE = "/latimer.v1.SummarizationService/SummarizeText"


def request(**fields: Any) -> bytes:
    given = {"contents": ["A text."], "source_language_code": "en", "target_language_codes": ["pt"], **fields}
    return pb.TranslateTextRequest(**given).SerializeToString()


def with_options(**options: Any) -> bytes:
    return request(options=pb.TranslateOptions(**options))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (TRANSLATE, with_options(patterns=[f"({CONTROLS}"])),
        (TRANSLATE, with_options(patterns=[f"a{CONTROLS}["])),
        (TRANSLATE, with_options(patterns=[f"(?P<{CONTROLS}>a)"])),
        (TRANSLATE, with_options(glossary_terms=[pb.GlossaryTerm(source_text=CONTROLS)])),
        (TRANSLATE, with_options(candidate_language_codes=[CONTROLS])),
        (TRANSLATE, with_options(fallback_language_code=CONTROLS)),
        (TRANSLATE, request(source_language_code=CONTROLS)),
        (TRANSLATE, request(target_language_codes=[CONTROLS])),
        (TRANSLATE, request(model=CONTROLS)),
        (SUMMARIZE, summarization_pb2.SummarizeTextRequest(contents=["A."], model=CONTROLS).SerializeToString()),
        ("/latimer.v1.ModelService/GetModel", models_pb2.GetModelRequest(name=CONTROLS).SerializeToString()),
    ],
)
async def test_controls_in_an_error_are_escapes(channel: grpc.aio.Channel, path: str, message: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(path, bytes, bytes)(message)
    assert (caught.value.details() or "").isprintable()
    status = read_status(caught.value)
    assert status.message.isprintable()
    for detail in status.details:
        found = error_details_pb2.BadRequest()
        if detail.Unpack(found):
            assert all(each.description.isprintable() and each.field.isprintable() for each in found.field_violations)


async def test_the_message_about_a_pattern_still_tells_its_fault(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(TRANSLATE, bytes, bytes)(with_options(patterns=["(\x1b"]))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "missing ): (\\x1b" in (caught.value.details() or "")


def read_status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    trailing = dict(error.trailing_metadata() or ())
    return status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
