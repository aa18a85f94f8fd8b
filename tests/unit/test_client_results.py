"""Results, settings and errors of the client: keyword-only, printable, copied and pickled whole."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

import latimer
from latimer import (
    TLS,
    Alternative,
    Detection,
    InvalidArgumentError,
    LatimerError,
    Retry,
    Segment,
    Span,
    Summary,
    SummarySentence,
    TranslatedItem,
    Translation,
    Usage,
)

RESULTS = [value for value in vars(latimer).values() if isinstance(value, type) and dataclasses.is_dataclass(value)]
ERRORS = [value for value in vars(latimer).values() if isinstance(value, type) and issubclass(value, LatimerError)]


def make_error(kind: type[LatimerError] = InvalidArgumentError) -> LatimerError:
    return kind("why", code="C", reason="R", violations=(("field", "rule"),), retry_after=1.5, request_id="id")


def make_translation(text: str = "Olá", **fields: Any) -> Translation:
    return Translation(text=text, source_language="en", target_language="pt", **fields)


@pytest.mark.parametrize("kind", RESULTS)
def test_results_and_settings_take_keywords_only(kind: Any) -> None:
    parameters = inspect.signature(kind).parameters.values()
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (make_translation(), "Olá"),
        (TranslatedItem(index=0, key=None, source_text="Hi", translations=(make_translation(),)), "Olá"),
        (Summary(text="Short."), "Short."),
        (Alternative(text="Oi", score=0.0), "Oi"),
        (SummarySentence(text="S.", summary_span=Span(start=0, end=2), rank_score=1.0, source_spans=()), "S."),
        (
            Segment(
                text="Olá", source_span=Span(start=0, end=2), target_span=Span(start=0, end=3), score=0.0, flags=()
            ),
            "Olá",
        ),
        (Detection(language="pt", confidence=1.0, reliable=True), "pt"),
    ],
)
def test_the_string_of_a_result_is_its_text(result: object, text: str) -> None:
    assert str(result) == text
    assert f"{result}" == text


def test_a_result_prints_short_and_without_defaults() -> None:
    assert repr(make_translation()) == "Translation(text='Olá', source_language='en', target_language='pt')"
    long = make_translation("word " * 200_000, segments=(Segment,) * 1_000)
    assert len(repr(long)) < 700
    assert len(repr(TranslatedItem(index=0, key="k", source_text="x" * 10**6, translations=(long,) * 9))) < 900
    assert "segments=3" in repr(Usage(segments=3))


def test_secrets_of_a_connection_are_not_printed() -> None:
    assert repr(TLS(private_key=b"SECRET")) == "TLS(private_key=...)"


def test_warnings_are_the_flags_that_need_attention() -> None:
    flagged = make_translation(flags=("PIVOTED", "REPETITION", "99"))
    assert flagged.warnings == ("REPETITION", "99")
    item = TranslatedItem(index=0, key=None, source_text="", translations=(flagged, flagged))
    assert (item.flags, item.warnings) == (("PIVOTED", "REPETITION", "99"), ("REPETITION", "99"))
    assert item.error is None


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301
@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_copied_and_pickled_with_their_fields(kind: type[LatimerError], duplicate: Any) -> None:
    error = make_error(kind)
    again = duplicate(error)
    assert type(again) is kind
    assert (str(again), vars(again)) == ("why", vars(error))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301
def test_results_are_copied_and_pickled(duplicate: Any) -> None:
    for result in (
        make_translation(usage=Usage(characters=3)),
        Summary(text="S.", flags=("CACHED",)),
        Retry(overloaded=True),
        TLS(root_certificates=b"PEM"),
    ):
        assert duplicate(result) == result
    failed = duplicate(make_translation("", error=make_error()))
    assert (type(failed.error), failed.error.request_id) == (InvalidArgumentError, "id")


def test_every_public_name_is_there_and_documented() -> None:
    for name in latimer.__all__:
        assert inspect.getdoc(getattr(latimer, name)), name
