"""Tests of the cache of request options: equal options are read once, with the same result every time."""

from __future__ import annotations

import pytest

from latimer.v1 import translation_pb2 as pb
from latimer_server.core.errors import InvalidRequest
from latimer_server.rpc.servicers.options import read_options
from latimer_server.rpc.servicers.validation import Rules
from latimer_server.translation.requests import TranslateOptions


def read(options: pb.TranslateOptions) -> TranslateOptions:
    rules = Rules()
    found = read_options(options, rules)
    rules.enforce()
    return found


def test_equal_options_are_read_once() -> None:
    assert read(pb.TranslateOptions(alternative_count=2)) is read(pb.TranslateOptions(alternative_count=2))


def test_different_options_are_read_separately() -> None:
    assert read(pb.TranslateOptions(alternative_count=2)) != read(pb.TranslateOptions(alternative_count=3))
    assert read(pb.TranslateOptions()) == TranslateOptions()


def test_invalid_options_are_refused_every_time() -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequest) as raised:
            read(pb.TranslateOptions(alternative_count=99, fallback_language_code="?"))
        fields = [violation.field for violation in raised.value.violations]
        assert fields == ["options.alternative_count", "options.fallback_language_code"]


@pytest.mark.parametrize(
    "options",
    [
        pb.TranslateOptions(patterns=["[A-Z]{3}"]),
        pb.TranslateOptions(phrases=["Latimer"]),
        pb.TranslateOptions(glossary_terms=[pb.GlossaryTerm(source_text="house", target_text="casa")]),
    ],
    ids=["patterns", "phrases", "terms"],
)
def test_equal_options_are_compiled_once(options: pb.TranslateOptions) -> None:
    assert read(options) is read(options)


def test_few_compiled_options_are_kept() -> None:
    first = pb.TranslateOptions(phrases=["first"])
    kept = read(first)
    for number in range(4):
        read(pb.TranslateOptions(phrases=[f"phrase {number}"]))
    assert read(first) is not kept


@pytest.mark.parametrize(
    "options",
    [
        pb.TranslateOptions(ignore_tags=[f"tag-{number}" for number in range(90)]),
        pb.TranslateOptions(phrases=[f"{number:256}" for number in range(1_000)] + ["x"] * 3_000),
    ],
    ids=["tags", "phrases"],
)
def test_long_options_are_not_cached(options: pb.TranslateOptions) -> None:
    assert read_options(options, Rules()) is not read_options(options, Rules())
