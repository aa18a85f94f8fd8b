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
    ],
)
def test_the_words_behind_a_figure_are_compared(source: str, output: str, wrong: bool) -> None:
    assert has_wrong_spelling(source, output, "en", "pt") is wrong


def test_languages_without_number_words_are_not_compared() -> None:
    assert not has_wrong_spelling("60 (sixty)", "60 (x)", "en", "xx")
