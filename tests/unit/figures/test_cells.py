"""Figures alone in the cells of a table are written in the notation of the target language; versions are not."""

from __future__ import annotations

import pytest

from latimer_server.text.figures.cells import convert_cells
from latimer_server.text.segmentation import needs_translation


def convert(cells: list[str], source: str = "en", target: str = "pt") -> list[str]:
    alone = [index for index, cell in enumerate(cells) if not needs_translation(cell)]
    changed = convert_cells(cells, alone, (source, target))
    return [changed.get(index, cell) for index, cell in enumerate(cells)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Notebook", "2", "5.00", "Total", "17.50"], ["Notebook", "2", "5,00", "Total", "17,50"]),
        (["Rent", "1,200.00"], ["Rent", "1.200,00"]),
        (["Tax", "8.5%", "106.25"], ["Tax", "8,5%", "106,25"]),
        (["each", "= $13.98"], ["each", "= $13,98"]),
    ],
)
def test_amounts_beside_words_are_converted(cells: list[str], expected: list[str]) -> None:
    assert convert(cells) == expected


def test_decimal_commas_are_converted() -> None:
    assert convert(["Aluguel", "1.850,00", "2,5"], "pt", "en") == ["Aluguel", "1,850.00", "2.5"]


@pytest.mark.parametrize(
    "cells",
    [
        ["Python", "3.11", "Django", "4.2"],
        ["Server", "10.0.0.1", "5.00.1"],
        ["Rate", "1.5", "5000"],
        ["5.00", "17.50"],
        ["Code", "12-5.00", "00,123"],
    ],
)
def test_versions_addresses_codes_and_texts_without_words_stay(cells: list[str]) -> None:
    assert convert(cells) == cells


def test_plain_figures_of_a_text_with_versions_stay() -> None:
    assert convert(["Version", "5.00", "3.11"]) == ["Version", "5.00", "3.11"]
    assert convert(["Version", "Price", "3.00", "1,200.00"]) == ["Version", "Price", "3.00", "1.200,00"]


def test_languages_with_the_same_notation_change_nothing() -> None:
    assert convert(["Rent", "1.200,00"], "pt", "es") == ["Rent", "1.200,00"]
