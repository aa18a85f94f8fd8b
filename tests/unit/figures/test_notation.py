"""Figures are read in the notation of one language and written in that of another."""

from __future__ import annotations

import pytest

from latimer_server.text.figures.notation import convert_figure, has_foreign_figure, read_figure


@pytest.mark.parametrize(
    ("figure", "mark", "value"),
    [
        ("1,234.50", ".", "1234.5"),
        ("1.234,50", ",", "1234.5"),
        ("1 234 567", ",", "1234567"),
        ("007", ".", "7"),
        ("3.5", ".", "3.5"),
        ("3.5", ",", None),
        ("6.450,90", ".", None),
        ("1,2345", ".", None),
        ("5.3.2024", ",", None),
        ("1,234", "", None),
    ],
)
def test_a_figure_has_a_value_only_in_the_notation_of_its_language(figure: str, mark: str, value: str | None) -> None:
    assert read_figure(figure, mark) == value


@pytest.mark.parametrize(
    ("figure", "before", "expected"),
    [
        ("12,000", "employs ", "12.000"),
        ("98,765.43", "for ", "98.765,43"),
        ("3.14159", "about ", "3,14159"),
        ("2024", "in ", "2024"),
        ("12,34,567", "has ", "12,34,567"),
        ("192.168.1.10", "address ", "192.168.1.10"),
        ("3.11", "uses Python ", "3.11"),
        ("4.101", "Sections ", "4.101"),
        ("918.40", "buys EUR ", "918,40"),
    ],
)
def test_figures_that_are_valid_in_the_source_are_converted(figure: str, before: str, expected: str) -> None:
    assert convert_figure(figure, (".", ","), before) == expected


@pytest.mark.parametrize("text", ["π × 3,5² ≈", "o raio é ≈ 38,48 sem unidade", "1,5³", "±2,5", "10 × 3,5 = x"])
def test_figures_of_formulas_are_quantities(text: str) -> None:
    assert has_foreign_figure(text, ".")


def test_versions_stay_in_both_directions() -> None:
    assert convert_figure("2.100", (",", "."), "A versão ") == "2.100"
    assert convert_figure("2.100", (",", "."), "mais de ") == "2,100"


def test_money_with_three_decimals_is_in_doubt_and_stays() -> None:
    assert convert_figure("1.234", (".", ","), is_money=True) == "1.234"
    assert convert_figure("1,234", (".", ","), is_money=True) == "1.234"


def test_equal_or_unknown_marks_convert_nothing() -> None:
    assert convert_figure("1,234.5", (".", ".")) == "1,234.5"
    assert convert_figure("1,234.5", (".", "")) == "1,234.5"


def test_figures_of_another_notation_are_recognized() -> None:
    assert has_foreign_figure("tinha 3,000,000 visitantes", ",")
    assert not has_foreign_figure("tinha 3.000.000 visitantes", ",")
    assert not has_foreign_figure("tinha 3,000,000 visitantes", "")
    assert has_foreign_figure("cerca de 6.9 g", ",")
    assert has_foreign_figure("for R$ 187,64", ".")
    assert has_foreign_figure("EUR 918.40", ",")
    assert not has_foreign_figure("o Python 3.11 às 10.30", ",")
