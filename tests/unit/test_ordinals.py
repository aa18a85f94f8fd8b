"""Tests of ordinal numbers in translations."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.ordinals import restore_ordinals
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits

ENGLISH, PORTUGUESE = ("en-US", "pt"), ("pt", "en")


def restore(source: str, output: str, languages: tuple[str, str]) -> str:
    return apply_edits(output, list(restore_ordinals(ProtectedText(source), ProtectedText(output), languages)))[0]


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("3rd floor", "3o andar", "3º andar"),
        ("the 1st half and the 2nd", "a 1a metade e a 2a", "a 1ª metade e a 2ª"),
        ("Flat 4, 3rd Floor", "Plano 4, 3o Andar", "Plano 4, 3º Andar"),
        # The figure is no ordinal number of the source, or is part of something else.
        ("Vitamin 3a", "Vitamina 3a", "Vitamina 3a"),
        ("the 21st, block 3a", "o 21, bloco 3a", "o 21, bloco 3a"),
        ("1st at 2.1st", "1o em 2.1o", "1º em 2.1o"),
        ("the 1,500th visitor", "o 1.500o visitante", "o 1.500º visitante"),
    ],
)
def test_letters_behind_ordinals_become_signs_in_portuguese(source: str, output: str, expected: str) -> None:
    assert restore(source, output, ENGLISH) == expected


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("Rua da Prata 12, 2.º Esq.", "Rua da Prata 12, 2.the Esq.", "Rua da Prata 12, 2nd Esq."),
        ("1.ª, 3º, 11.º, 112.º e 21.º", "1.a, 3º, 11.the, 112.o and 21.º", "1st, 3rd, 11th, 112th and 21st"),
        ("2º andar", "2nd floor", "2nd floor"),
        ("o 103.º e o 12.º", "the 103th and the 12nd", "the 103rd and the 12th"),
        ("o 1.500.º visitante", "the 1,500.the visitor", "the 1,500th visitor"),
        ("porta 2.a, 7.o andar", "door 2.a, 7.the floor", "door 2nd, 7th floor"),
        ("30 °C na sala 4a", "30 °C in room 4.a", "30 °C in room 4.a"),
    ],
)
def test_articles_behind_ordinals_become_endings_in_english(source: str, output: str, expected: str) -> None:
    assert restore(source, output, PORTUGUESE) == expected


def test_protected_text_and_other_languages_stay() -> None:
    source, output = ProtectedText("3rd floor"), ProtectedText("3o andar", (TextSpan(0, 2),))
    assert list(restore_ordinals(source, output, ENGLISH)) == []
    assert list(restore_ordinals(source, ProtectedText("3o piso"), ("en", "es"))) == []
