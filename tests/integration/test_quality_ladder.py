"""Segments whose outputs have faults are translated again, over a real channel."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc
import pytest

from latimer.v1 import translation_pb2 as pb
from latimer.v1 import types_pb2
from latimer_server.core.decoding import TokenIds
from tests.fakes import EchoBackend, serve_fakes
from tests.integration.calls import connect_alone

VOWELS = str.maketrans("aeiou", "oauei")
ROOMS = ", ".join(f"the room with number {number} on the left side" for number in range(1, 30)) + "."


class Forgetful(EchoBackend):
    """A model that replaces the vowels, and loses the figures of texts with more than 100 letters.

    It writes German, since the server has a list of Portuguese words.
    """

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        texts = [text.translate(VOWELS) for text in super().decode(ids)]
        return [text if len(text) <= 100 else re.sub(r"\d+", "", text) for text in texts]


async def translate(text: str, seconds: float | None = None) -> pb.TranslateTextResponse:
    async with serve_fakes({"en-de": Forgetful()}) as server, connect_alone(server) as stub:
        request = pb.TranslateTextRequest(contents=[text], source_language_code="en", target_language_codes=["de"])
        return await stub.TranslateText(request, timeout=seconds)


async def test_a_long_enumeration_keeps_all_its_figures() -> None:
    response = await translate(ROOMS)
    translation = response.results[0].translations[0]
    assert re.findall(r"\d+", translation.translated_text) == re.findall(r"\d+", ROOMS)
    assert types_pb2.FLAG_NUMBER_MISMATCH not in translation.flags
    assert response.usage.retried_segments == 1


async def test_a_good_output_is_not_translated_again() -> None:
    response = await translate("the room with number 5 on the left.")
    assert response.usage.retried_segments == 0
    assert response.usage.input_tokens == len("the room with number 5 on the left.") + 1


async def test_a_segment_is_translated_again_before_a_deadline_that_leaves_time() -> None:
    response = await translate(ROOMS, 60.0)
    assert response.usage.retried_segments == 1


async def test_a_past_deadline_is_the_error_of_the_call() -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await translate(ROOMS, 0.0)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
