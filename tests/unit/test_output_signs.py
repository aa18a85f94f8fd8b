"""Signs of an output that its source has in another form are repaired."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.output_signs import (
    raise_brackets,
    remove_spaces_before_signs,
    write_number_signs,
    write_powers,
)
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits


def close_up(source: str, output: str, target: str = "pt", spans: tuple[TextSpan, ...] = ()) -> str:
    edits = remove_spaces_before_signs(ProtectedText(source), ProtectedText(output, spans), target)
    return apply_edits(output, edits)[0]


def write_capitals(source: str, output: str, spans: tuple[TextSpan, ...] = ()) -> str:
    return apply_edits(output, raise_brackets(ProtectedText(source), ProtectedText(output, spans)))[0]


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("of the date hereof.", "da data aqui de .", "da data aqui de."),
        ("Why, then?", "Por que , então ?", "Por que, então?"),
        ("Nome completo*", "Full name *", "Full name*"),
        ('He said "no!"', 'Ele disse "não !"', 'Ele disse "não!"'),
    ],
)
def test_no_space_stands_before_a_closing_sign(source: str, output: str, expected: str) -> None:
    assert close_up(source, output) == expected


@pytest.mark.parametrize(
    ("source", "output", "target"),
    [
        ("Ask .NET about it.", "Pergunte ao .NET sobre isso.", "pt"),
        ("Wait...", "Espere ...", "pt"),
        ("Hi :)", "Oi :)", "pt"),
        ("Why ?", "Por quê ?", "pt"),
        ("Why?", "Pourquoi ?", "fr-CA"),
        ("Run .", "Execute .", "pt"),
        ("2 a * 3 b*", "2 a * 3 b *", "pt"),
    ],
)
def test_other_spaces_stay(source: str, output: str, target: str) -> None:
    assert close_up(source, output, target) == output


def test_protected_signs_stay() -> None:
    assert close_up("the sign .", "o sinal .", "pt", (TextSpan(8, 9),)) == "o sinal ."


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("Uso: copiar [OPÇÕES] ORIGEM...", "Use: copy [Options] ORIGIN...", "Use: copy [OPTIONS] ORIGIN..."),
        ("[OPÇÃO]... (OBRIGATÓRIO) x", "[Option]... (Required) x", "[OPTION]... (REQUIRED) x"),
        ("[OPÇÕES GERAIS] aqui", "[General options] here", "[GENERAL OPTIONS] here"),
    ],
)
def test_words_in_brackets_keep_their_capitals(source: str, output: str, expected: str) -> None:
    assert write_capitals(source, output) == expected


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("copiar [opções]", "copy [options]"),
        ("a [OPÇÃO] e [b]", "the option and [b]"),
        ("o peso (KG)", "weight (kg)"),
        ("a [OPÇÃO1]", "the [option1]"),
        ("A [UNIÃO] E [TUDO]", "The [Union"),
        ("[MEUS ARQUIVOS", "[my files"),
    ],
)
def test_other_brackets_stay(source: str, output: str) -> None:
    assert write_capitals(source, output) == output


def test_protected_words_in_brackets_stay() -> None:
    assert write_capitals("use [ARQUIVO]", "use [file]", (TextSpan(5, 9),)) == "use [file]"


@pytest.mark.parametrize(
    ("source", "output", "languages", "expected"),
    [
        ("2,5² = 6,25 m²", "2,5² = 6.25 m²", ("pt", "en"), "2.5² = 6.25 m²"),
        ("about 1.5³", "cerca de 1.5³", ("en", "pt-BR"), "cerca de 1,5³"),
        ("about 1.5³", "cerca de 1,5³", ("en", "pt"), "cerca de 1,5³"),
        ("lista 2,5²", "list 2,5²", ("pt", "de"), "list 2,5²"),
        ("the note 1,2²", "a nota 1,2²", ("en", "pt"), "a nota 1,2²"),
    ],
)
def test_decimals_before_superscripts_have_the_mark_of_the_target(
    source: str, output: str, languages: tuple[str, str], expected: str
) -> None:
    guarded = ProtectedText(
        output,
        (TextSpan(output.index("²" if "²" in output else "³") - 1, output.index("²" if "²" in output else "³") + 1),),
    )
    assert apply_edits(output, write_powers(ProtectedText(source), guarded, languages))[0] == expected


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ("The invoice Nº. 1234 and nº 5", "en-GB", "The invoice No. 1234 and No. 5"),
        ("O processo nº 5", "pt", "O processo nº 5"),
        ("Carbonº 5", "en", "Carbonº 5"),
    ],
)
def test_an_english_output_has_the_english_sign_of_numbers(output: str, target: str, expected: str) -> None:
    assert apply_edits(output, write_number_signs(ProtectedText(output), target))[0] == expected


def test_hostile_texts_take_linear_time() -> None:
    close_up("a", " ." * 100_000)
    write_capitals("[" * 100_000, "[" * 100_000)
    write_capitals("[ABCD]" * 20_000, "[abcd]" * 20_000)
