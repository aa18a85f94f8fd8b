"""Names of people stay as they are; those of rulers and saints are translated."""

from __future__ import annotations

import pytest

from latimer_server.text.given_names import ENGLISH, PORTUGUESE, read_pairs
from latimer_server.text.person_names import is_name_line, restore_names
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits


def write(source: str, output: str, languages: tuple[str, str]) -> str:
    return apply_edits(output, restore_names(ProtectedText(source), ProtectedText(output), languages))[0]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Linda Marsh", "en"),
        ("Frances", "en"),
        ("Martin Luther King Jr.", "en"),
        ("O'Neill", "en"),
        ("Ruth A. Stone", "en-GB"),
        ("JOHN SMITH", "en"),
        ("João", "pt"),
        ("Maria da Conceição", "pt-BR"),
        ("Pedro Henrique Alves e Silva", "pt"),
    ],
)
def test_a_line_with_a_given_name_and_surnames_is_a_name(text: str, language: str) -> None:
    assert is_name_line(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Grace Period", "en"),
        ("Mark Read", "en"),
        ("Save", "en"),
        ("Monday", "en"),
        ("Victoria Station", "en"),
        ("Maria opens the shop", "en"),
        ("Maria.", "en"),
        ("Rosa Choque", "pt"),
        ("Linda Vista", "pt"),
        ("Hospital Santa Maria", "pt"),
        ("João Silva", "de"),
    ],
)
def test_labels_places_and_sentences_are_no_names(text: str, language: str) -> None:
    assert not is_name_line(text, language)


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("Cadê o João?", "Where is the John?", "Where is the João?"),
        (
            "O João e a Maria chegaram com o Pedro.",
            "John and Mary arrived with Peter.",
            "João and Maria arrived with Pedro.",
        ),
        ("O João falou com o João.", "John spoke to John.", "João spoke to João."),
    ],
)
def test_a_given_name_of_the_other_language_is_put_back(source: str, output: str, expected: str) -> None:
    assert write(source, output, ("pt", "en")) == expected


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("O Papa João Paulo II visitou o país.", "Pope John Paul II visited the country."),
        ("Dom João VI fugiu.", "King John VI fled."),
        ("O Evangelho de João é curto.", "The Gospel of John is short."),
        ("Leia João 3:16.", "Read John 3:16."),
        ("O João e o John são amigos.", "João and John are friends."),
        ("O João saiu.", "João left."),
    ],
)
def test_names_of_rulers_and_saints_stay_translated(source: str, output: str) -> None:
    assert write(source, output, ("pt", "en")) == output


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("I met Linda Marsh today.", "Conheci Linda Pântano hoje.", "Conheci Linda Marsh hoje."),
        ("I told Anna Monday is fine.", "Eu disse a Anna Segunda é bom.", "Eu disse a Anna Segunda é bom."),
        ("Emma Opens Shop", "Emma Abre Loja", "Emma Abre Loja"),
        ("Victoria Station is closed.", "Victoria Estação está fechada.", "Victoria Estação está fechada."),
    ],
)
def test_a_surname_that_became_a_word_is_put_back(source: str, output: str, expected: str) -> None:
    assert write(source, output, ("en", "pt")) == expected


def test_lists_have_no_ordinary_words() -> None:
    assert ENGLISH.isdisjoint({"Grace", "Mark", "Bill", "Will", "Rose", "May", "June", "April", "Hope", "Frank"})
    assert PORTUGUESE.isdisjoint({"Rosa", "Linda", "Clara", "Vitória", "Glória", "Santos"})
    assert all(name != other for name, other in read_pairs())


def test_hostile_texts_take_linear_time() -> None:
    write("João " * 20_000, "John " * 20_000, ("pt", "en"))
    is_name_line("A" * 200_000, "en")
