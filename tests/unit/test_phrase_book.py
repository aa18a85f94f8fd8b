"""Formulas of letters and words of forms have fixed translations."""

from __future__ import annotations

import pytest

from latimer_server.text.phrase_book import find_phrase


@pytest.mark.parametrize(
    ("text", "languages", "expected"),
    [
        ("Yours sincerely,", ("en", "pt"), "Atenciosamente,"),
        ("KIND REGARDS,", ("en", "pt"), "ATENCIOSAMENTE,"),
        ("Atenciosamente,", ("pt-BR", "en"), "Sincerely,"),
        ("( ) sim", ("pt", "en"), "( ) yes"),
        ("[x] Married", ("en", "pt"), "[x] Casado(a)"),
        ("Full name *", ("en", "pt"), "Nome completo *"),
    ],
)
def test_a_phrase_keeps_its_capitals_and_punctuation(text: str, languages: tuple[str, str], expected: str) -> None:
    assert find_phrase(text, languages) == expected


@pytest.mark.parametrize("text", ["Yes, of course", "Best in town", "She is single", "", "(", "a" * 100_000])
def test_other_texts_have_none(text: str) -> None:
    assert find_phrase(text, ("en", "pt")) is None


def test_other_languages_have_none() -> None:
    assert find_phrase("yes", ("en", "de")) is None
