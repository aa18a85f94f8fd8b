"""Tests of casing: texts in capitals and titles are lowered for the model, and its output gets their casing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.casing import Casing, find_casing, lower_text, style_text
from latimer_server.text.protection.masking import ProtectedText


@pytest.mark.parametrize(
    ("text", "casing"),
    [
        ("THE BRIDGE IS CLOSED!", Casing.UPPER),
        ("SOPA DE ERVILHA", Casing.UPPER),
        ("CHEESE", Casing.UPPER),
        ("USB", Casing.NORMAL),
        ("A", Casing.NORMAL),
        ("Pea Soup with Bread", Casing.TITLE),
        ("Save Changes", Casing.TITLE),
        ("How to Use USB Drives", Casing.TITLE),
        ("Sopa de Ervilha e Pão", Casing.TITLE),
        ("The bridge is closed.", Casing.NORMAL),
        ("Anna Lind met Bo Berg in Turku.", Casing.NORMAL),
        ("Internet", Casing.NORMAL),
        ("iPhone Charger", Casing.NORMAL),
        ("USB PORT", Casing.UPPER),
        ("中文", Casing.NORMAL),
        ("123", Casing.NORMAL),
        ("", Casing.NORMAL),
    ],
)
def test_the_casing_of_a_text_is_found(text: str, casing: Casing) -> None:
    assert find_casing(ProtectedText(text)) is casing


@pytest.mark.parametrize(
    ("text", "lowered"),
    [
        ("THE BRIDGE IS CLOSED!", "The bridge is closed!"),
        ("I SAW IT. I DID.", "I saw it. I did."),
        ("How to Use USB Drives", "How to use USB drives"),
        ("STRAßE UND WEG", "Straße und weg"),
        ("İZMİR VE ANKARA", "İZMİR ve ankara"),
    ],
)
def test_a_text_is_lowered_to_sentence_case(text: str, lowered: str) -> None:
    guarded = ProtectedText(text)
    assert lower_text(guarded, find_casing(guarded)).text == lowered


@pytest.mark.parametrize(
    ("output", "casing", "language", "styled"),
    [
        ("A ponte está fechada!", Casing.UPPER, "pt", "A PONTE ESTÁ FECHADA!"),
        ("straße", Casing.UPPER, "de", "STRASSE"),
        ("izmir", Casing.UPPER, "tr", "İZMİR"),
        ("sopa de ervilha com pão", Casing.TITLE, "pt-BR", "Sopa de Ervilha com Pão"),
        ("a casa", Casing.TITLE, "pt", "A Casa"),
        ("como usar unidades USB", Casing.TITLE, "pt", "Como Usar Unidades USB"),
        ("Olá.", Casing.NORMAL, "pt", "Olá."),
    ],
)
def test_an_output_gets_the_casing_of_its_source(output: str, casing: Casing, language: str, styled: str) -> None:
    assert style_text(ProtectedText(output), casing, language).text == styled


def test_protected_spans_keep_their_casing_and_are_ignored_by_detection() -> None:
    guarded = ProtectedText("OPEN http://a.b NOW", (TextSpan(5, 15),))
    assert find_casing(guarded) is Casing.UPPER
    assert lower_text(guarded, Casing.UPPER).text == "Open http://a.b now"
    styled = style_text(ProtectedText("abra http://a.b já", (TextSpan(5, 15),)), Casing.UPPER, "pt")
    assert styled == ProtectedText("ABRA http://a.b JÁ", (TextSpan(5, 15),))
    grown = style_text(ProtectedText("straße x_y", (TextSpan(7, 10),)), Casing.UPPER, "de")
    assert grown.text[grown.spans[0].start : grown.spans[0].end] == "x_y"


@given(st.text(max_size=60), st.sampled_from(list(Casing)))
def test_lowering_keeps_the_length_of_any_text(text: str, casing: Casing) -> None:
    assert len(lower_text(ProtectedText(text), casing).text) == len(text)


@given(st.lists(st.sampled_from(["THE", "CAT'S", "ÉCOLE", "2", "-", "OK!"]), min_size=2, max_size=8).map(" ".join))
def test_capitals_are_restored_if_the_model_copies_its_input(text: str) -> None:
    guarded = ProtectedText(text)
    casing = find_casing(guarded)
    assert style_text(lower_text(guarded, casing), casing, "en").text == text


@given(st.text(alphabet="aBcß I'’é1 -.,!\u0301İ", max_size=30))
def test_the_fast_check_of_casing_agrees_with_the_full_one(text: str) -> None:
    behind_a_span = ProtectedText(f"1 {text}", (TextSpan(0, 1),))

    assert find_casing(ProtectedText(f"  {text}")) is find_casing(behind_a_span)


@pytest.mark.parametrize(("language", "title"), [("pt", "Nome: John A. Doe"), ("es", "Firmado: Ana E. Soto")])
def test_an_initial_keeps_its_capital_though_it_is_a_small_word(language: str, title: str) -> None:
    assert style_text(ProtectedText(title), Casing.TITLE, language).text == title
