"""A figure that is repeated in words must have the words of its number in the output."""

from __future__ import annotations

import pytest

from latimer_server.text.checks.spelled import has_wrong_spelling


@pytest.mark.parametrize(
    ("source", "output", "wrong"),
    [
        ("within 60 (sixty) days", "em até 60 (sessenta) dias", False),
        ("within 60 (sixty) days", "em até 60 (sessextos) dias", True),
        ("within 60 (sixty) days", "em até 60 (seis) dias", True),
        ("within 35 (thirty-five) days", "em até 35 (trinta e cinco) dias", False),
        ("within 60 (sixty) days", "em até sessenta (60) dias", False),
        ("pay $500.00 (five hundred dollars)", "pague $500,00 (quinhentos dólares)", False),
        ("pay $500.00 (five hundred dollars)", "pague $500,00 (cinco cem dólares)", True),
        ("pay 1,500 (one thousand five hundred)", "pague 1.500 (mil e quinhentos)", False),
        ("in 60 (recent) days", "em 60 (novos) dias", False),
        ("a penalty of two percent (2%)", "uma multa de 2% (2%)", True),
        ("a penalty of two percent (2%)", "uma multa de dois por cento (2%)", False),
        ("five hundred (500) shares", "quinquazendas (500) ações", True),
        ("within thirty (30) days", "em trinta dias (30)", False),
        ("12% (twelve percent) of it", "12% do valor (cada por cento)", True),
        ("pay $18,000 (eighteen thousand dollars)", "pague $18.000 (dezoi dezoito mil dólares)", True),
    ],
)
def test_the_words_behind_a_figure_are_compared(source: str, output: str, wrong: bool) -> None:
    assert has_wrong_spelling(source, output, "en", "pt") is wrong


def test_words_with_commas_and_cents_are_compared() -> None:
    source = "R$ 8.750,50 (oito mil, setecentos e cinquenta reais e cinquenta centavos)"
    right = "R$ 8,750.50 (eight thousand, seven hundred and fifty reais and fifty cents)"
    assert not has_wrong_spelling(source, right, "pt", "en")
    assert has_wrong_spelling(source, right.replace("seven", "six"), "pt", "en")


@pytest.mark.parametrize("unit", ["(1) ", "1 (one) ", "one ", "one (", "1 (one "])
def test_hostile_numbers_take_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    has_wrong_spelling(text, text, "en", "pt")


def test_languages_without_number_words_are_not_compared() -> None:
    assert not has_wrong_spelling("60 (sixty)", "60 (x)", "en", "xx")
