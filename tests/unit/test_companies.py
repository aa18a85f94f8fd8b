"""Names of companies and cue lines of WebVTT are protected."""

from __future__ import annotations

import pytest

from latimer_server.text.protection.companies import find_companies


def find(text: str) -> list[str]:
    return [text[span.start : span.end] for span in find_companies(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("© 2024 Example Inc. All rights reserved.", ["Example Inc."]),
        ("between Acme Tools Ltd. and Beta & Sons LLC", ["Acme Tools Ltd.", "Beta & Sons LLC"]),
        ("A Padaria Central Ltda. fechou.", ["Padaria Central Ltda."]),
        ("Banco do Norte S.A. informa", ["Banco do Norte S.A."]),
        ("00:01:02.500 --> 00:01:05.000 line:90%\nHello", ["00:01:02.500 --> 00:01:05.000 line:90%"]),
    ],
)
def test_companies(text: str, expected: list[str]) -> None:
    assert find(text) == expected


@pytest.mark.parametrize("text", ["the inc. file", "Incorrect Input", "Corporate Law", "a --> b"])
def test_other_texts(text: str) -> None:
    assert find(text) == []


@pytest.mark.parametrize("text", ["A " * 100_000 + "Inc", "A,Inc" * 40_000, "00:00.000 --> " * 15_000])
def test_hostile_texts_take_linear_time(text: str) -> None:
    find(text)
