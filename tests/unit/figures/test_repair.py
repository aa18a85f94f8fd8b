"""Figures of a translation are repaired in their place: by text, value and digits, then by alignment or order."""

from __future__ import annotations

import re

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.checks.numbers import has_number_mismatch
from latimer_server.text.figures.repair import FigureRepair, repair_figures


def repair(
    source: str, output: str, languages: tuple[str, str] = ("en", "pt"), links: list[Link] | None = None
) -> FigureRepair:
    """Repairs an output, with the server's check as the judge."""
    return repair_figures(
        source,
        output,
        languages=languages,
        links=links,
        agree=lambda text: not has_number_mismatch(source, text, *languages),
    )


def link(source: str, word: str, output: str, answer: str) -> Link:
    """Links the first occurrences of two strings."""
    old, new = source.index(word), output.index(answer)
    return Link(TextSpan(old, old + len(word)), TextSpan(new, new + len(answer)), 0.9)


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("It holds 1,234,567 records.", "Contém 1,234.567 registros.", "Contém 1.234.567 registros."),
        ("It had 3,000,000 visitors.", "Teve 3,000,000 visitantes.", "Teve 3.000.000 visitantes."),
        ("It rises 8,849 metres.", "Sobe 8,849 metros.", "Sobe 8.849 metros."),
        ("He owes $12,345.67.", "Ele deve $12,345,67.", "Ele deve $12.345,67."),
        # The only figures that are left answer each other.
        ("It grew to 1,320,000 in 10 years.", "Cresceu para 1.300 em 10 anos.", "Cresceu para 1.320.000 em 10 anos."),
        # A repair leaves other readings alone: an hour, a date, a scale, a decimal that no reader mistakes.
        ("At 3 p.m. 1,200 came.", "Às 15h vieram 1,200.", "Às 15h vieram 1.200."),
        ("By 3.5.1990 it had 1,500.", "Em 3.5.1990 tinha 1,500.", "Em 3.5.1990 tinha 1.500."),
        ("It sent 20,000 men.", "Enviou 20 mil homens.", "Enviou 20 mil homens."),
        # Fractions of money and units are converted, versions and hours are not.
        (
            "Was $1,299.00, now $949.00, at 10.30",
            "Foi $1.299,00, agora $949.00, às 10.30",
            "Foi $1.299,00, agora $949,00, às 10.30",
        ),
        ("Fat 6.9 g or 8.25% in CSS 2.1", "Gordura 6.9 g ou 8.25% em CSS 2.1", "Gordura 6,9 g ou 8,25% em CSS 2.1"),
        ("EUR 918.40 today", "EUR 918.40 hoje", "EUR 918,40 hoje"),
        ("Subtotal: 41.30, total 50.71", "Subtotal: 41.30, total 50.71", "Subtotal: 41,30, total 50,71"),
        ("Total 3.11", "Total 3.11", "Total 3,11"),
        # A word "total" in a sentence says nothing: the figure may be an hour, a section or a version.
        ("Total: 10.30 to 11.15", "Total: 10.30 a 11.15", "Total: 10.30 a 11.15"),
        ("Subtotal 1.1 and 1.2 follow", "Subtotal 1.1 e 1.2 seguem", "Subtotal 1.1 e 1.2 seguem"),
        ("In total 12.50, as planned", "No total 12.50, como previsto", "No total 12.50, como previsto"),
        ("Diesel 1.879 €/l", "Diesel 1.879 €/l", "Diesel 1,879 €/l"),
        # Three decimals are read as thousands.
        ("The ratio is 1.234 to 1.", "A proporção é de 1.234 para 1.", "A proporção é de 1,234 para 1."),
    ],
)
def test_figures_get_the_right_digits_in_the_notation_of_the_target(source: str, output: str, expected: str) -> None:
    found = repair(source, output)
    assert found.text == expected
    assert found.agrees
    assert not found.unsettled


@pytest.mark.parametrize(
    "text",
    [
        "12,5% em 2019, de 1.500 a 2.000",
        "às 10h30 de 12/05/2023",
        "no 1º lugar, 192.168.1.10, (11) 91234-5678",
    ],
)
def test_right_figures_are_left_alone(text: str) -> None:
    source = text.replace(",", "#").replace(".", ",").replace("#", ".") if "%" in text else text
    found = repair(source, text)
    assert found == FigureRepair(text, agrees=True)


def test_the_alignment_tells_which_figure_answers_which() -> None:
    source = "It sold 98,765 cars, 1,100 vans and 5 boats."
    output = "Vendeu 5 barcos, 1.110 vans e 99.765 carros."
    links = [link(source, "98,765", output, "99.765"), link(source, "1,100", output, "1.110")]
    assert repair(source, output, links=links).text == "Vendeu 5 barcos, 1.100 vans e 98.765 carros."


def test_without_alignment_figures_answer_each_other_in_order() -> None:
    source, output = "From 1,050 to 2,320 and 7.", "De 1.000 a 2.300 e 7."
    assert repair(source, output).text == "De 1.050 a 2.320 e 7."


def test_a_figure_that_the_output_lacks_is_unsettled() -> None:
    source = "The 1,250 chairs cost $3,400."
    found = repair(source, "As cadeiras custam 3.400 dólares.")
    assert not found.agrees
    assert [source[span.start : span.end] for span in found.unsettled] == ["1,250"]


@pytest.mark.parametrize(
    ("source", "output", "languages", "expected"),
    [
        ("It costs $5.", "Custa US $ 5.", ("en", "pt"), "Custa $5."),
        ("It costs $5.", "Custa 5 dólares.", ("en", "pt"), "Custa 5 dólares."),
        ("Custa R$ 450.000,00.", "It costs $450,000.00.", ("pt", "en"), "It costs R$ 450,000.00."),
        ("Custa R$ 90.", "It costs R$90.", ("pt", "en"), "It costs R$ 90."),
        ("It costs A$1,500.", "Custa $1.500.", ("en", "pt"), "Custa A$1.500."),
        ("It costs £80 a day.", "Custa 80 por dia.", ("en", "pt"), "Custa £80 por dia."),
        ("It costs £80 a day.", "Es kostet 80 Pfund.", ("en", "de"), "Es kostet 80 Pfund."),
        ("It costs ¥80.", "80円です。", ("en", "ja"), "80円です。"),
    ],
)
def test_currency_signs_are_those_of_the_source(
    source: str, output: str, languages: tuple[str, str], expected: str
) -> None:
    found = repair(source, output, languages)
    assert found.text == expected
    assert found.agrees


def test_another_currency_in_words_is_unsettled() -> None:
    source = "The rent is £1,850 a month."
    found = repair(source, "A renda é de 1.850 euros por mês.")
    assert not found.agrees
    assert [source[span.start : span.end] for span in found.unsettled] == ["£1,850"]


def test_figures_in_protected_spans_are_no_figures() -> None:
    source, output = "Item 1,234 has 1,100 parts.", "O item 1,234 tem 1,100 partes."
    found = repair_figures(
        source,
        output,
        languages=("en", "pt"),
        protected=([TextSpan(5, 10)], [TextSpan(7, 12)]),
        agree=lambda text: not has_number_mismatch(source, text, "en", "pt", ["1,234"]),
    )
    assert found.text == "O item 1,234 tem 1.100 partes."
    (move,) = found.moves
    # Only the separator is replaced, so that tags around a part of the figure stay there.
    assert output[move[0].start : move[0].end] == ","
    assert found.text[move[1].start : move[1].end] == "."


def test_repair_takes_linear_time() -> None:
    # Quadratic work on any of these takes minutes.
    for text in ("$" * 100_000 + "1,234", "1,234 " * 20_000, "1" * 100_000, "$1,234.5 € " * 10_000):
        assert repair(text, re.sub(r"\d", "7", text)).text
