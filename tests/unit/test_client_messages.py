"""Requests, errors and lists of the client, without a channel."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import status_pb2

from latimer import ConnectionFailedError, DeadlineExceededError, LatimerError, ServerError, _calls
from latimer._channel import convert_status
from latimer._convert import build_translate, plan_contents
from latimer.v1 import translation_pb2


def test_every_option_of_the_contract_can_be_given() -> None:
    request = build_translate(
        ["a"],
        ["pt"],
        None,
        {
            "text_format": "html",
            "syntaxes": ["printf", "ICU"],
            "phrases": ("Latimer",),
            "glossary_terms": [{"source_text": "a", "target_text": "b", "case_sensitive": True}],
            "error_flags": ["repetition"],
            "beam_size": 4,
            "model": "m",
            "include_alignment": None,
        },
    )
    assert request.options.text_format == 2
    assert list(request.options.syntaxes) == [1, 2]
    assert request.options.glossary_terms[0].case_sensitive
    assert request.options.decoding.beam_size == 4
    assert request.model == "m"
    assert not request.options.HasField("decoding") or request.options.decoding.HasField("beam_size")


@pytest.mark.parametrize(
    "texts", [["x" * 999_999] * 5, ["é" * 900_000] * 3, ["世" * 900_000] * 3, ["😀" * 1_000_000] * 2, ["a"] * 5_000]
)
def test_every_request_fits_the_contract_and_a_message(texts: list[str]) -> None:
    plan = plan_contents(texts)
    assert [index for chunk in plan.chunks for index in chunk.indices] == list(range(len(texts)))
    for chunk in plan.chunks:
        assert len(chunk.contents) <= 1_024
        assert sum(map(len, chunk.contents)) <= 2_000_000
        assert translation_pb2.TranslateTextRequest(contents=chunk.contents).ByteSize() < 4_194_304 - 1_000


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_becomes_an_exception_of_the_client(code: grpc.StatusCode) -> None:
    error = convert_status(status_pb2.Status(code=code.value[0], message="why"))
    assert isinstance(error, LatimerError)
    assert error.code == code.name
    expected = {"DEADLINE_EXCEEDED": DeadlineExceededError, "UNAVAILABLE": ConnectionFailedError}
    assert isinstance(error, expected.get(code.name, LatimerError))
    if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS):
        assert isinstance(error, ServerError)


def test_an_error_of_a_later_request_of_a_list_keeps_the_earlier_results() -> None:
    steps = _calls.translate(["a"] * 1_024 + ["b"] * 3, "pt", "en", {})
    first = next(steps)
    done = translation_pb2.TranslationResult(translations=[translation_pb2.Translation(translated_text="A")])
    assert isinstance(first.request, translation_pb2.TranslateTextRequest)
    steps.send(translation_pb2.TranslateTextResponse(results=[done] * 1_024))
    with pytest.raises(StopIteration) as ended:
        steps.throw(DeadlineExceededError("late", code="DEADLINE_EXCEEDED"))
    results = ended.value.value
    assert [result.text for result in results] == ["A"] * 1_024 + [""] * 3
    assert all(isinstance(result.error, DeadlineExceededError) for result in results[1_024:])
    steps = _calls.translate(["a"] * 2_000, "pt", "en", {})
    next(steps)
    with pytest.raises(DeadlineExceededError):
        steps.throw(DeadlineExceededError("late"))
