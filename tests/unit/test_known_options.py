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
        pb.TranslateOptions(ignore_tags=[f"tag-{number}" for number in range(90)]),
    ],
    ids=["patterns", "phrases", "terms", "long"],
)
def test_large_options_are_not_cached(options: pb.TranslateOptions) -> None:
    assert read(options) is not read(options)
