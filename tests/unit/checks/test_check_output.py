"""Tests of all output checks together: their flags and the order of the flags, on any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.flags import Flag
from latimer_server.text.checks.output_checks import check_language, check_output

_LANGUAGES = st.sampled_from(["en", "pt-BR", "de-CH", "zh-Hant", "ja", "es-MX", "th", "x-private", "und", "", "xx-"])
# Digits of many scripts, fractions, marks and number words exercise the parsers of numbers.
_TEXTS = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ["1.234,5", "½", "⅓", "٣", "二十万", "XIX", "3pm", "5/3/24", "1/2", "²", "vinte e", "hundred", "1 234"]
        )
        | st.text(st.characters(categories=["Nd", "Nl", "No", "Zs", "Po", "Pd"]), max_size=6),
    ),
    max_size=8,
).map(" ".join)


@given(_TEXTS, _TEXTS, _LANGUAGES, _LANGUAGES, st.lists(st.text(max_size=5), max_size=40))
def test_no_pair_of_texts_raises(
    source: str, output: str, source_language: str, target_language: str, protected: list[str]
) -> None:
    for one, other in ((source, output), (source, source), (output * 3, source)):
        flags = check_output(
            one, other, source_language=source_language, target_language=target_language, protected=protected
        )
        assert list(flags) == sorted(flags, key=lambda flag: flag.value)


def test_a_good_translation_has_no_flags() -> None:
    assert (
        check_output(
            "On 5 March 2024 the 3 ships left at 3:30 p.m. with 1,200 people.",
            "Em 5 de março de 2024, os três navios partiram às 15h30 com 1.200 pessoas.",
            source_language="en",
            target_language="pt",
        )
        == ()
    )


@pytest.mark.parametrize(
    ("output", "flags"),
    [
        ("Os 3 navios saíram do porto saíram do porto saíram do porto", {Flag.REPETITION}),
        ("The 3 ships left the port yesterday.", {Flag.COPIED_SOURCE}),
        ("Os 3", {Flag.LENGTH_RATIO}),
        ("Os 4 navios saíram do porto ontem.", {Flag.NUMBER_MISMATCH}),
    ],
)
def test_each_damage_has_its_flag(output: str, flags: set[Flag]) -> None:
    source = "The 3 ships left the port yesterday."
    assert set(check_output(source, output, source_language="en", target_language="pt")) == flags


def test_an_output_reliably_in_another_language_is_flagged() -> None:
    text = "The old house near the river was sold."
    assert check_language(text, "pt", lambda *_: False) == (Flag.WRONG_OUTPUT_LANGUAGE,)
    assert check_language(text, "pt", lambda *_: None) == ()
    assert check_language(text, "en-GB", lambda said, code: (said, code) == (text, "en-GB")) == ()
