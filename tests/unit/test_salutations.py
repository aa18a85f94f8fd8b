"""The salutation of a Portuguese letter agrees with its title."""

from __future__ import annotations

import pytest

from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits
from latimer_server.text.salutations import agree_salutation


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("Caro Sra. Whitcombe,", "Cara Sra. Whitcombe,"),
        ("Querida Sr. Lima,", "Querido Sr. Lima,"),
        ("Caro Sr. Lima,", "Caro Sr. Lima,"),
        ("Caro amigo,", "Caro amigo,"),
    ],
)
def test_salutations(output: str, expected: str) -> None:
    assert apply_edits(output, agree_salutation(ProtectedText(output), "pt"))[0] == expected
