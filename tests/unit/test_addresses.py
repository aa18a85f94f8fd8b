"""Postal addresses are protected; streets without a number are left to the model."""

from __future__ import annotations

import pytest

from latimer_server.text.protection.addresses import find_addresses


def find(text: str) -> list[str]:
    return [text[span.start : span.end] for span in find_addresses(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Moro na Rua das Flores, 123, apto. 45", ["Rua das Flores, 123"]),
        ("Rua 25 de Março, 8", ["Rua 25 de Março, 8"]),
        ("Av. Paulista 1578", ["Av. Paulista 1578"]),
        ("01234-000 São Paulo - SP", ["01234-000 São Paulo - SP"]),
        ("1000-001 Lisboa", ["1000-001 Lisboa"]),
        ("Address: 12 Hill Road", ["12 Hill Road"]),
        ("500 W. Green Lake Drive, Austin, TX 78701", ["500 W. Green Lake Drive", "Austin, TX 78701"]),
    ],
)
def test_addresses(text: str, expected: list[str]) -> None:
    assert find(text) == expected


@pytest.mark.parametrize(
    "text",
    ["A rua nova é longa.", "The road is 12 km long.", "We have 12 new roads.", "12345-678", "Rua Nova é longa."],
)
def test_prose(text: str) -> None:
    assert find(text) == []


@pytest.mark.parametrize(
    "text", ["Rua " * 50_000, "1 Road " * 30_000, "A " * 50_000 + "Street", "12345-678 A" * 20_000]
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    find(text)
