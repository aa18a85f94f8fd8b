"""Requests, errors and lists of the client, without a channel."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

from latimer import (
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidArgumentError,
    LatimerError,
    ServerError,
    _calls,
    _convert,
)
from latimer._requests import build_translate
from latimer._status import convert_status
from latimer._texts import plan_contents
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2


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


def finish(steps: Any, reply: Any) -> Any:
    """Sends the last reply to the steps of a method; returns the method's result."""
    with pytest.raises(StopIteration) as ended:
        steps.send(reply)
    return ended.value.value


def test_an_error_of_one_request_of_a_list_keeps_the_other_results() -> None:
    steps = _calls.translate(["a"] * 1_024 + ["b"] * 3 + ["c" * 900_000] * 2, "pt", "en", {})
    done = translation_pb2.TranslationResult(translations=[translation_pb2.Translation(translated_text="A")])
    next(steps)
    steps.send(_calls.Reply(translation_pb2.TranslateTextResponse(results=[done] * 1_024), "id"))
    results = finish(steps, DeadlineExceededError("late", code="DEADLINE_EXCEEDED"))
    assert [result.text for result in results] == ["A"] * 1_024 + [""] * 5
    assert all(isinstance(result.error, DeadlineExceededError) for result in results[1_024:])


def test_the_first_request_of_a_list_never_raises_and_a_single_text_does() -> None:
    late = DeadlineExceededError("late", code="DEADLINE_EXCEEDED", request_id="id")
    for targets in ("pt", ["pt", "es"]):
        steps = _calls.translate(["a", "b"], targets, "en", {})
        next(steps)
        rows = finish(steps, late)
        assert len(rows) == 2
        first = rows[0] if isinstance(targets, str) else rows[0][1]
        assert (first.error, first.error.request_id) == (late, "id")
    single = _calls.translate("a", "pt", "en", {})
    next(single)
    with pytest.raises(DeadlineExceededError):
        single.send(late)


def test_a_list_is_not_sent_on_to_a_server_that_cannot_be_reached() -> None:
    steps = _calls.detect(["a"] * 5_000, {})
    next(steps)
    gone = ConnectionFailedError("gone", code="UNAVAILABLE")
    assert [found.error for found in finish(steps, gone)] == [gone] * 5_000


def test_an_invalid_value_of_an_option_is_an_error_of_each_text_of_a_list() -> None:
    steps = _calls.translate(["a", "b"], "pt", None, {"sentence_splitting": "sometimes"})
    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert all("sentence_splitting" in str(result.error) for result in ended.value.value)


def test_a_response_without_all_results_is_an_error_of_the_server() -> None:
    steps = _calls.translate(["a", "b"], "pt", None, {})
    next(steps)
    results = finish(steps, _calls.Reply(translation_pb2.TranslateTextResponse(), "id"))
    assert all(isinstance(result.error, ServerError) and result.error.request_id == "id" for result in results)


def test_the_error_of_an_item_has_the_id_of_its_request() -> None:
    steps = _calls.translate(["a"], "pt", None, {})
    next(steps)
    failed = translation_pb2.Translation(error=status_pb2.Status(code=5, message="none"))
    response = translation_pb2.TranslateTextResponse(results=[translation_pb2.TranslationResult(translations=[failed])])
    (result,) = finish(steps, _calls.Reply(response, "abc"))
    assert (result.error.code, result.error.request_id) == ("NOT_FOUND", "abc")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ({"a": "b"}, "dict, whose keys would be translated"),
        (b"a", "bytes; decode it"),
        (None, "text is None"),
        (float("nan"), "NaN"),
        (7, "text is int"),
    ],
)
def test_an_argument_that_holds_no_texts_is_refused_by_name(text: Any, named: str) -> None:
    for steps in (
        _calls.translate(text, "pt", None, {}),
        _calls.summarize(text, None, {}, {}),
        _calls.detect(text, {}),
    ):
        with pytest.raises(InvalidArgumentError, match=named):
            next(steps)


def test_items_of_a_list_that_are_no_texts_are_errors_in_their_places() -> None:
    steps = _calls.translate(["a", None, float("nan"), b"b", {"c": "d"}], "pt", None, {})  # type: ignore[list-item]
    call = next(steps)
    assert isinstance(call.request, translation_pb2.TranslateTextRequest)
    assert list(call.request.contents) == ["a"]
    done = translation_pb2.TranslationResult(translations=[translation_pb2.Translation(translated_text="A")])
    results = finish(steps, _calls.Reply(translation_pb2.TranslateTextResponse(results=[done]), ""))
    assert [str(result) for result in results] == ["A", "", "", "", ""]
    for index, (name, result) in enumerate(zip(["None", "NaN", "bytes", "dict"], results[1:], strict=True), 1):
        assert f"item {index} is {name}" in str(result.error)


@pytest.mark.parametrize("target", [[], {}, {"pt": 1}, b"pt", None, ["pt", None], 3])
def test_targets_that_are_no_languages_are_refused(target: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="target"):
        next(_calls.translate(["a"], target, None, {}))


def test_values_that_only_a_newer_server_knows_are_strings() -> None:
    flags: list[Any] = [1, 99]
    translation = translation_pb2.Translation(translated_text="A", flags=flags)
    (found,) = _convert.read_result(translation_pb2.TranslationResult(translations=[translation]), "en", "")
    assert found.flags == ("PASSTHROUGH", "99")
    assert found.warnings == ("99",)
    response = summarization_pb2.SummarizeTextResponse(summaries=[summarization_pb2.Summary(mode=77)])  # type: ignore[arg-type]
    (summary,) = _convert.read_summaries(response, "", "")
    assert summary.mode == "77"
    model = _convert.read_model(models_pb2.Model(state=55, task=66))  # type: ignore[arg-type]
    assert (model.state, model.task) == ("55", "66")
    assert convert_status(status_pb2.Status(code=99, message="new")).code == "99"
