"""A label in capitals before a sentence is read in small letters, and gets its capitals again."""

from __future__ import annotations

import pytest

from latimer_server.text.label_case import lower_label, restore_label
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits
from latimer_server.translation.segment_form import prepare_segment


def read(text: str) -> str:
    return apply_edits(text, lower_label(ProtectedText(text)))[0]


def write(source: str, output: str) -> str:
    return apply_edits(output, restore_label(ProtectedText(source), ProtectedText(output)))[0]


@pytest.mark.parametrize(
    ("source", "read_as", "output", "expected"),
    [
        ("MAN: Who's there?", "Man: Who's there?", "Homem: Quem está lá?", "HOMEM: Quem está lá?"),
        ("WOMAN 2: I know.", "Woman 2: I know.", "Mulher 2: Eu sei.", "MULHER 2: Eu sei."),
        (
            "CLÁUSULA 3ª - O aluguel",
            "Cláusula 3ª - O aluguel",
            "Clause 3a - The rent",
            "CLAUSE 3a - The rent",
        ),
    ],
)
def test_labels(source: str, read_as: str, output: str, expected: str) -> None:
    assert read(source) == read_as
    assert write(source, output) == expected


@pytest.mark.parametrize(
    "text", ["NATO: the alliance", "TOTAL: 45", "A: yes", "STOP NOW: LEAVE", "Hello: you", "ATTENTION"]
)
def test_acronyms_and_texts_in_capitals_stay(text: str) -> None:
    assert read(text) == text
    assert write(text, "Um texto: outro") == "Um texto: outro"


def test_hostile_texts_take_linear_time() -> None:
    read("ABCDEF " * 30_000 + ": a")
    write("ABCDEF: aa", "a " * 100_000)


def test_an_abbreviation_in_a_label_is_spelled_out_once() -> None:
    written = ProtectedText("TOTAL QTY: five boxes are here")
    assert prepare_segment(written, join=False, language="en").text == "Total QUANTITY: five boxes are here"
