"""Times with their unit, references to law and names in logs are protected."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.references import find_references
from latimer_server.text.rewriting import apply_edits
from latimer_server.text.spacing import remove_spaces


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("timed out after 30s.", ["30s"]),
        ("after 15s of 250ms or 1.5s", ["250ms", "15s", "1.5s"]),
        ("a 20s delay", ["20s"]),
        ("Section 4(b)(ii) and Rule 12(b)(6).", ["4(b)(ii)", "12(b)(6)"]),
        ("Article 5(1)(f)", ["5(1)(f)"]),
        ("[worker-7] started", ["worker-7"]),
        ("WARN order-queue: one well-known limit\nof a well-known kind", ["order-queue", "well-known"]),
        ("music of the 80s and 1990s", []),
        ("in the 20s, in her 30s", []),
        ("for 80s fans", []),
        ("3 item(s), 4(s)", []),
        ("call 55(11) 98765", []),
        ("a well-known error", []),
    ],
)
def test_references_are_found(text: str, kept: list[str]) -> None:
    found = [text[span.start : span.end] for span in find_references(text)]
    assert sorted(found) == sorted(kept)


@pytest.mark.parametrize("unit", ["1", "1(a)", "a-", "[a-b", "ERROR ", "ERROR a-b\n", "30s ", "for 30s"])
def test_hostile_references_take_linear_time(unit: str) -> None:
    assert list(find_references(unit * (100_000 // len(unit)))) is not None


def test_spaces_that_a_model_adds_are_removed() -> None:
    output = ProtectedText("a  b   c  d", (TextSpan(3, 8),))
    text, _ = apply_edits(output.text, remove_spaces(ProtectedText("a b c d"), output))
    assert text == "a b   c d"
    assert not list(remove_spaces(ProtectedText("a  b"), output))
