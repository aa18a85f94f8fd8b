"""Periods behind prices are spelled out, so that models translate them."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.price_rates import spell_out_periods
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.rewriting import apply_edits
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.segmenting import parse_content, segment_content


def write(text: str, language: str, *spans: TextSpan) -> str:
    return apply_edits(text, spell_out_periods(ProtectedText(text, spans), language))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Only $5/mo, billed ($60/yr).", "Only $5/month, billed ($60/year)."),
        ("€9.99 / mo per seat", "€9.99 / month per seat"),
        ("US$1,200/wk or £30/hr.", "US$1,200/week or £30/hour."),
        ("12 EUR/mo", "12 EUR/month"),
        ("12€/yr", "12€/year"),
    ],
)
def test_periods_behind_prices_are_words(text: str, expected: str) -> None:
    assert write(text, "en-US") == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("see en/mo and 5/mo", "en"),
        ("$5/mode", "en"),
        ("$5/mo.txt", "en"),
        ("$5/mo/x", "en"),
        ("$5/mo", "pt"),
        ("$5 a month", "en"),
    ],
)
def test_other_words_behind_slashes_stay(text: str, language: str) -> None:
    assert write(text, language) == text


def test_protected_spans_stay() -> None:
    assert write("$5/mo", "en", TextSpan(0, 5)) == "$5/mo"


def test_segments_have_their_periods_spelled_out() -> None:
    (part,) = segment_content(parse_content("Now $5/mo.", None, ()), "en", Splitting.SENTENCES, ProtectionRules(), None)
    assert part.segments[0].text == "Now $5/month."


def test_hostile_texts_take_linear_time() -> None:
    write("$5/" * 50_000, "en")
    write("$" + "5" * 100_000 + "/", "en")
