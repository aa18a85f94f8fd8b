"""Dates of a Portuguese translation have the order and the words of Portuguese."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.dates import rewrite_dates
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits


def write(output: str, target: str = "pt", spans: tuple[TextSpan, ...] = ()) -> str:
    return apply_edits(output, rewrite_dates(ProtectedText(output, spans), target))[0]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("Quarta, 3 Julho", "Quarta, 3 de julho"),
        ("Quarta, Julho 3", "Quarta, 3 de julho"),
        ("Julho 3, 2024, em Lisboa", "3 de julho de 2024, em Lisboa"),
        ("3 de julho, 2024", "3 de julho de 2024"),
        ("até 31st março 1999", "até 31 de março de 1999"),
    ],
)
def test_english_dates_become_portuguese(output: str, expected: str) -> None:
    assert write(output) == expected


@pytest.mark.parametrize(
    "output",
    [
        "em 3 de julho de 2024",
        "Em maio 2024 foi assim",
        "a Rua 25 de Abril",
        "em abril 10.000 pessoas",
        "maio 3:15",
        "em maio 40% caíram",
    ],
)
def test_other_texts_stay(output: str) -> None:
    assert write(output) == output


def test_protected_spans_and_other_languages_stay() -> None:
    assert write("3 Julho", spans=(TextSpan(0, 7),)) == "3 Julho"
    assert write("3 Julho", "en") == "3 Julho"


def test_hostile_texts_take_linear_time() -> None:
    write("3 julho " * 20_000)
    write("julho 3, " * 20_000)
    write("1" * 200_000)


@pytest.mark.parametrize("output", ["Em maio 3 pessoas vieram", "Em Julho 12 barcos partiram."])
def test_a_number_behind_a_month_may_count_something(output: str) -> None:
    assert write(output) == output
