"""Tests of copied sources: untranslated outputs are found, and texts that are equal in both languages are not."""

from __future__ import annotations

import pytest

from latimer_server.text.checks.copied import is_copy

COPIES = [
    ("en", "pt", "The old house near the river was sold.", "The old house near the river was sold."),
    ("en", "pt", "The old house near the river was sold.", "the old house near the river was sold"),
    ("en", "pt", "DO NOT OPEN THE DOOR", "DO NOT OPEN THE DOOR"),
    ("pt", "en", "A casa velha foi vendida ontem.", "A casa velha foi vendida ontem."),
    ("en", "de", "You should not open it.", "You should not open it."),
    ("en", "fi", "You should not open that door.", "You should not open that door."),
    ("fi", "en", "Vanha talo joen lähellä myytiin eilen.", "Vanha talo joen lähellä myytiin eilen."),
    ("ja", "en", "昨日、川の近くの古い家が売れました。", "昨日、川の近くの古い家が売れました。"),
    ("en", "pt", "A more detailed explanation is available in the installation manual.",
     "A more detailed explanation is available in the manual installation."),
    ("en-US", "pt-BR", "This is not what you think.", "This is not what you think."),
    ("pt", "es", "Eu não quero que você abra a porta da casa.", "Eu não quero que você abra a porta da casa."),
]  # fmt: skip

RIGHTLY_THE_SAME = [
    ("en", "pt", "Internet", "Internet"),
    ("en", "pt", "Ok", "Ok"),
    ("en", "pt", "software", "software"),
    ("en", "pt", "hardware, software", "hardware, software"),
    ("en", "pt", "Barack Obama", "Barack Obama"),
    ("en", "pt", "The New York Times", "The New York Times"),
    ("en", "pt", "John Smith, London, 12 May 1998", "John Smith, London, 12 May 1998"),
    ("en", "pt", "apt-get install foo_bar --x=1", "apt-get install foo_bar --x=1"),
    ("en", "pt", "if (x > 1) { y = 2; }", "if (x > 1) { y = 2; }"),
    ("en", "pt", "https://example.org/the/path", "https://example.org/the/path"),
    ("en", "pt", "", ""),
    ("en", "en-GB", "The old house near the river was sold.", "The old house near the river was sold."),
    ("pt", "gl", "A casa é moi bonita.", "A casa é moi bonita."),
    ("ja", "en", "東京大学", "東京大学"),
    ("en", "pt", "The old house was sold yesterday.", "A casa velha foi vendida ontem."),
    ("pt", "es", "Eu quero que você abra a porta da casa.", "Yo quiero que usted abra la puerta de la casa."),
]


@pytest.mark.parametrize(("source_language", "target_language", "source", "output"), COPIES)
def test_an_untranslated_sentence_is_found(
    source_language: str, target_language: str, source: str, output: str
) -> None:
    assert is_copy(source, output, source_language, target_language)


@pytest.mark.parametrize(("source_language", "target_language", "source", "output"), RIGHTLY_THE_SAME)
def test_names_code_and_translations_are_no_copies(
    source_language: str, target_language: str, source: str, output: str
) -> None:
    assert not is_copy(source, output, source_language, target_language)


def test_protected_words_do_not_count_as_untranslated() -> None:
    text = "Run make the install target now"
    assert is_copy(text, text, "en", "pt")
    assert not is_copy(text, text, "en", "pt", ["make the install target now"])


def test_figures_that_both_texts_have_make_no_copy() -> None:
    source = ", ".join(f"room {number} on the left" for number in range(1, 20))
    output = ", ".join(f"quarto {number} à esquerda" for number in range(1, 20))
    assert not is_copy(source, output, "en", "pt")
    assert is_copy(source, source.replace("19", "20"), "en", "pt")
