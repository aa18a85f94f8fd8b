"""Tests of the check for added text: brackets, quotation marks and doublings that the source does not have."""

from __future__ import annotations

import pytest

from latimer_server.text.checks.additions import has_added_marks, has_addition, trim_addition

ADDED = [
    ("Robert", "Robert (em inglês)"),
    ("Jennifer", "Jennifer (em"),
    ("Cancelar", "Cancel Cancel"),
    ("Citado", 'Cit "'),
    ("Multipress", "Multiprimi-primi-pri"),
    ("On the table.", "Sur-sur-sur la table."),
    ("the archive file of a package", "the file file of a package"),
    ("Use (or buy) it", "Use (ou compre) (isso)"),
    ("He said no.", 'Ele disse "não".'),
    ("Lei 23 de julho", "Law 23 (July)"),
    ("two files", "dois (2) arquivos"),
]
NOT_ADDED = [
    ("Robert", "Robert"),
    ("Use (or buy) it", "Use (ou compre) isso"),
    ("He said “no”.", 'Ele disse "não".'),
    ("He had gone.", "He had had gone."),
    ("the kernel-package package", "the kernel-package package"),
    ("No, no!", "Não, não!"),
    ("no no no", "nada nada nada"),
    ("blah-blah-blah", "blá-blá-blá"),
    ("It is a guard.", "É um guarda-chuva."),
    ("- Não sei - disse ele.", '"I don\'t know," he said.'),
    ("PPP (PPP)", "PPP (PPP)"),
    ("（注）", "(note)"),
    ("12 12", "12 12"),
    ("Nos termos do artigo 5.º, n.º 2, alínea c),", "In accordance with Article 5 (2) (c),"),
    ("art. 9.º, n.º 1, alíneas a) a iv)", "Article 9(1)(a) to (iv)"),
]


@pytest.mark.parametrize(("source", "output"), ADDED)
def test_added_text_is_found(source: str, output: str) -> None:
    assert has_addition(source, output)


@pytest.mark.parametrize(("source", "output"), NOT_ADDED)
def test_text_of_the_source_is_not_added(source: str, output: str) -> None:
    assert not has_addition(source, output)


@pytest.mark.parametrize(
    ("source", "output", "trimmed"),
    [
        ("Robert", "Robert (em inglês)", "Robert"),
        ("Jennifer", "Jennifer (em", "Jennifer"),
        ("Cancelar", "Cancel Cancel", "Cancel"),
        ("João", "John John John", "John"),
        ("Citado", 'Cit "', "Cit"),
        ("Sat", "(", "("),
        ("Use (it)", "Use (isso) (agora)", "Use (isso) (agora)"),
        ("Robert", "Robert", "Robert"),
    ],
)
def test_added_text_is_trimmed(source: str, output: str, trimmed: str) -> None:
    assert trim_addition(source, output) == trimmed


@pytest.mark.parametrize("unit", ["(", ")", '"', "—", "a ", "a a ", "ab-", "-", "a", "ab ab-ab ", "aa-aa", "no no "])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    has_addition("x", text)
    has_addition(text, text)
    trim_addition("x", text)


def test_single_quotation_marks_may_become_double_ones() -> None:
    assert not has_added_marks("He said: 'We need time.'", 'Ele disse: "Precisamos de tempo."')
    assert not has_added_marks("the ‘miracle’ drug", 'a droga "milagre"')
    assert has_added_marks("the driver's seat isn't here", 'o "assento" do motorista não está aqui')
