"""Tests of normalization: characters and capitals that a vocabulary lacks, and the restoration of quotation marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.normalization import (
    begins_with_small_capital,
    capitalize_first,
    find_quotes,
    lower_capitals,
    normalize_text,
    restore_quotes,
)
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.spans import merge_spans


def test_unknown_characters_are_replaced_or_protected_with_their_word() -> None:
    normalized = normalize_text(
        ProtectedText("“a”\u00a0b\u200bc – naïve 中文 →"), lambda character: character.isascii()
    )
    guarded = normalized.guarded
    assert guarded.text == '"a" bc - naïve 中文 →'
    assert guarded.wanted == ["naïve", "中文", "→"]


@pytest.mark.parametrize(
    ("source", "known", "begins_small"),
    [
        ("À noite", "à noite", True),
        ("“Última vez”", '"última vez"', True),
        ("na Índia", "na Índia".replace("Í", "I"), False),
        ("ÍNDICE", "INDICE", False),
        ("A Última", "A Ultima", False),
    ],
)
def test_capitals_that_a_vocabulary_lacks_are_written_in_another_way(
    source: str, known: str, *, begins_small: bool
) -> None:
    def is_known(character: str) -> bool:
        return character.isascii() or character.islower()

    normalized = normalize_text(ProtectedText(source), is_known, respells_capitals=True)
    assert normalized.guarded == ProtectedText(known)
    assert begins_with_small_capital(source, normalized) is begins_small
    # In a language without such words the word is a name, and is protected.
    assert normalize_text(ProtectedText(source), is_known).guarded.spans


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("copiar [OPÇÕES] ORIGEM", "copiar [Opções] ORIGEM"),
        ("o RÉU e o AUTOR", "o Réu e o AUTOR"),
        ("na Índia", "na Índia"),
        ("só É a", "só É a"),
        ("ŁÓDŹ", "ŁÓDŹ"),
    ],
)
def test_a_word_in_capitals_with_a_letter_that_the_vocabulary_lacks_is_read_in_small_letters(
    source: str, read: str
) -> None:
    def is_known(character: str) -> bool:
        return character.isascii() or character in "çõéíó"

    assert lower_capitals(ProtectedText(source), is_known).text == read


def test_a_protected_word_in_capitals_stays() -> None:
    guarded = ProtectedText("de OPÇÕES", (TextSpan(3, 9),))
    assert lower_capitals(guarded, str.isascii) == guarded


def test_the_first_letter_becomes_a_capital_outside_protected_spans() -> None:
    assert capitalize_first(ProtectedText('"at night')).text == '"At night'
    assert capitalize_first(ProtectedText("5 dogs")).text == "5 dogs"
    assert capitalize_first(ProtectedText("iPad sales", (TextSpan(0, 4),))).text == "iPad sales"


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("“Yes”, he said.", '"Sim", disse ele.', "“Sim”, disse ele."),
        ("“Yes” and “no”", '"Sim" e "não"', "“Sim” e “não”"),
        ("„Yes“", '"Sim"', "„Sim“"),
        # Several kinds, whose order a translation may change, and marks beside inches are not restored.
        ("«Yes» and “no”", '"Não" e "sim"', '"Não" e "sim"'),
        ("O “gaming” de 27″", 'The 27" "gaming"', 'The 27" "gaming"'),
        # Neither are marks that the model omitted, or that were straight in the source.
        ("“Yes”, he said.", "Sim, disse ele.", "Sim, disse ele."),
        ('“Yes” and "no"', '"Sim" e "não"', '"Sim" e "não"'),
        ("Don’t", 'Não "faça"', 'Não "faça"'),
    ],
)
def test_quotation_marks_get_the_style_of_the_source(source: str, output: str, expected: str) -> None:
    known = normalize_text(ProtectedText(source), lambda character: character.isascii())
    quotes = find_quotes(source, TextSpan(0, len(known.guarded.text)), known)
    assert restore_quotes(ProtectedText(output), quotes).text == expected


def test_quotation_marks_in_protected_spans_are_kept() -> None:
    output = ProtectedText('Bob wegen "Acme" GmbH', (TextSpan(10, 21),), ('"Acme" GmbH',))
    assert restore_quotes(output, "“”") == output
    output = ProtectedText('"Bob" wegen "Acme" GmbH', (TextSpan(12, 23),), ('"Acme" GmbH',))
    assert restore_quotes(output, "“”").text == '“Bob” wegen "Acme" GmbH'
    source = 'He said “{"a"}” to her'
    known = normalize_text(ProtectedText(source, (TextSpan(9, 14),)), lambda character: character.isascii())
    assert find_quotes(source, TextSpan(0, len(known.guarded.text)), known) == "“”"


@given(st.text(max_size=40), st.sets(st.integers(0, 40), max_size=6))
def test_protected_spans_are_never_rewritten(text: str, edges: set[int]) -> None:
    places = sorted(edge for edge in edges if edge <= len(text))
    spans = merge_spans(TextSpan(*pair) for pair in zip(places[::2], places[1::2], strict=False))
    normalized = normalize_text(ProtectedText(text, spans), lambda character: character.isascii())
    assert [normalized.guarded.text[s.start : s.end] for s in normalized.spans] == ProtectedText(text, spans).wanted
