"""Whole numbers are written in words of English and Portuguese, and read back to the same number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.text.checks.cardinals import read_words
from latimer_server.text.figures.cardinals import has_gender, write_cardinal


@pytest.mark.parametrize(
    ("number", "english", "portuguese"),
    [
        (0, "zero", "zero"),
        (16, "sixteen", "dezesseis"),
        (21, "twenty-one", "vinte e um"),
        (100, "one hundred", "cem"),
        (101, "one hundred one", "cento e um"),
        (1_000, "one thousand", "mil"),
        (1_500, "one thousand five hundred", "mil e quinhentos"),
        (1_850, "one thousand eight hundred fifty", "mil oitocentos e cinquenta"),
        (12_000, "twelve thousand", "doze mil"),
        (250_000, "two hundred fifty thousand", "duzentos e cinquenta mil"),
        (1_000_000, "one million", "um milhão"),
        (2_000_001, "two million one", "dois milhões e um"),
    ],
)
def test_numbers_are_written_in_words(number: int, english: str, portuguese: str) -> None:
    assert write_cardinal(number, "en") == english
    assert write_cardinal(number, "pt") == portuguese


@given(st.integers(0, 999_999_999), st.sampled_from(["en", "pt"]))
def test_the_words_are_read_as_the_same_number(number: int, base: str) -> None:
    words = write_cardinal(number, base)
    assert words is not None
    possible, clear = read_words(words, base)
    assert [values[0] for values in (*possible, *clear)] == [str(number)]


def test_other_numbers_and_languages_have_no_words() -> None:
    assert write_cardinal(-1, "en") is write_cardinal(10**9, "pt") is write_cardinal(1, "de") is None


def test_some_numbers_have_a_gender_in_portuguese() -> None:
    assert [number for number in (1, 2, 3, 11, 12, 21, 100, 101, 500, 1_000, 2_000) if has_gender(number)] == [
        1,
        2,
        21,
        101,
        500,
        2_000,
    ]
