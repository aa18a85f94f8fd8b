"""Repeated marks and minus signs come out as they were written."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits, rewrite_text
from latimer_server.text.signs import find_repeated_signs, restore_signs


def restore(source: str, output: str) -> str:
    return apply_edits(output, restore_signs(ProtectedText(source), ProtectedText(output)))[0]


def test_a_model_reads_one_mark_for_a_run() -> None:
    guarded = ProtectedText("Hi!!! What?!! Fine! !!", (TextSpan(20, 22),))
    assert rewrite_text(guarded, find_repeated_signs(guarded)).text == "Hi! What? Fine! !!"


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("Hi!!! How are you???", "Oi! Como vai?", "Oi!!! Como vai???"),
        ("What?!", "O quê?", "O quê?!"),
        ("Really?! Yes!", "Sério? Sim!", "Sério?! Sim!"),
        ("Really?! Yes!", "Sério? Sim.", "Sério? Sim."),
        ("Hi!", "Oi.", "Oi."),
        ("It fell by \u22125 degrees", "Caiu -5 graus", "Caiu \u22125 graus"),
        ("From \u22125 to -3", "De -5 a -3", "De -5 a -3"),
        ("It is \u22125", "É 5 - 3", "É 5 - 3"),
    ],
)
def test_runs_and_minus_signs_are_put_back(source: str, output: str, expected: str) -> None:
    assert restore(source, output) == expected
