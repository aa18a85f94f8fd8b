"""The cells of a row that pipes divide come out in their places."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.text.cells import find_cells, keeps_cells
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.output_repair import OutputRepairer
from latimer_server.translation.segment_output import SegmentOutput


@pytest.mark.parametrize(
    ("text", "kept", "cells"),
    [
        ("| Basic | 5 | Free |", (), ["Basic", "Free"]),
        ("About us | Jobs", (), ["About us", "Jobs"]),
        ("| Free |", (), ["Free"]),
        ("Status: ( ) Single (x) Married", (), ["Status:", "Single", "Married"]),
        ("[ ] Yes [ ] No", (), ["Yes", "No"]),
        ("{{ a | b }} of it | red", (TextSpan(0, 11),), ["{{ a | b }} of it", "red"]),
    ],
)
def test_cells_stand_between_pipes(text: str, kept: Sequence[TextSpan], cells: list[str]) -> None:
    found = find_cells(text, kept)
    assert found is not None
    assert found.segments == cells


@pytest.mark.parametrize("text", ["No pipe.", "one |", "| 1 | 2 |", "a {{ b | c }}", "", "( ) Yes", "f() and g()"])
def test_other_texts_have_no_cells(text: str) -> None:
    assert find_cells(text, [TextSpan(2, 13)] if "{{" in text else []) is None


def test_an_output_keeps_the_cells_if_the_same_ones_have_text() -> None:
    assert keeps_cells("| Free | 5 |", "| Grátis | 5 |")
    assert not keeps_cells("| Free | 5 |", "| Grátis | 5")
    assert not keeps_cells("| Free | 5 |", "| | Grátis 5 |")
    assert keeps_cells("( ) Sim (x) Não", "() Yes (x) No")
    assert not keeps_cells("( ) Solteiro ( ) Casado", "() Single () () Married")


def test_cells_are_translated_apart_if_one_was_lost() -> None:
    apart = {"Basic": "Básico", "Free": "Grátis"}

    async def retranslate(segments: Sequence[ProtectedText], _: DecodingOptions) -> list[SegmentOutput | Exception]:
        return [SegmentOutput(apart[segment.text]) for segment in segments]

    repairer = OutputRepairer("en", "pt", DecodingOptions(), retranslate, lambda _, __: True, Usage())
    (output,) = asyncio.run(
        repairer.check_and_repair([ProtectedText("| Basic | 5 | Free |")], [SegmentOutput("| Básico | 5 | Grátis")])
    )
    assert isinstance(output, SegmentOutput)
    assert output.text == "| Básico | 5 | Grátis |"


@pytest.mark.parametrize("unit", ["|", "| a ", "a|", "( ) a ", "( "])
def test_hostile_rows_take_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert keeps_cells(text, text)
    find_cells(text, [TextSpan(at, at + 1) for at in range(0, len(text), 4)])
