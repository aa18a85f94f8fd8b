"""Quotation marks of two kinds come out as two kinds."""

from __future__ import annotations

import pytest

from latimer_server.text.nested_quotes import restore_nested_quotes
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits


def write(source: str, output: str) -> str:
    return apply_edits(output, restore_nested_quotes(ProtectedText(source), ProtectedText(output)))[0]


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        (
            "‘I saw the word “danger” on the gate,’ he said.",
            '"Eu vi a palavra "perigo" no portão", disse ele.',
            "‘Eu vi a palavra “perigo” no portão’, disse ele.",
        ),
        (
            "«Ouvi “fogo” e corri», contou.",
            '"I heard "fire" and ran," she said.',
            "«I heard “fire” and ran,» she said.",
        ),
        (
            '"He said, \'Are you serious?\'," she recalled, "and he left."',
            '"Ele disse: "Você é sério?", ela lembrou, "e ele saiu".',
            '"Ele disse: \'Você é sério?\'", ela lembrou, "e ele saiu".',
        ),
        (
            "\"She asked, 'Why now?'\" and left",
            '"Ela perguntou: "Por que agora?" e saiu',
            "\"Ela perguntou: 'Por que agora?'\" e saiu",
        ),
        (
            "“He said, ‘Are you serious?’,” she recalled.",
            "“Ele disse, 'Você é sério?”, ela lembrou.",
            "“Ele disse, ‘Você é sério?’”, ela lembrou.",
        ),
        ("'I saw \"danger\" there,' he said.", '"Eu vi "perigo" lá", disse.', "'Eu vi \"perigo\" lá', disse."),
        ("“Don’t say ‘no’,” he said.", "\"Não diga 'não'\", disse ele.", "“Não diga ‘não’”, disse ele."),
    ],
)
def test_marks_of_the_source_are_put_back(source: str, output: str, expected: str) -> None:
    assert write(source, output) == expected


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("“one kind”", '"um tipo"'),
        ("‘a “b” c’", '"a b c"'),
        ("«a» “b”", '"b a""'),
        ("\"a 'b' c\"", '"a b c"'),
        ("the dogs' \"bark\" isn't", 'o "latido" dos cães'),
    ],
)
def test_other_outputs_stay(source: str, output: str) -> None:
    assert write(source, output) == output


def test_hostile_texts_take_linear_time() -> None:
    write("“«" * 50_000, '"' * 100_000)
    write("'\" " * 50_000, "\" '" * 50_000)
