"""Signs between quotation marks come back where a model dropped them."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.quoted_signs import restore_quoted_signs
from latimer_server.text.rewriting import apply_edits


def restore(source: str, output: str, *protected: TextSpan) -> str:
    return apply_edits(output, restore_quoted_signs(ProtectedText(source), ProtectedText(output, protected)))[0]


@pytest.mark.parametrize(
    ("source", "output", "restored"),
    [
        ("expected ';' before '}' token", "esperado '' antes de '}' token", "esperado ';' antes de '}' token"),
        ('Use "::" here.', 'Use "" aqui.', 'Use "::" aqui.'),
        ("Write “…” or “!”.", "Escreva “…” ou “”.", "Escreva “…” ou “!”."),
        # American typography moves a comma or full stop before the closing mark, where it belongs to quoted code.
        ('Sem "/", ":" nem "*".', 'No "/," ":" or "*."', 'No "/", ":" or "*".'),
    ],
)
def test_signs_come_back_in_their_order(source: str, output: str, restored: str) -> None:
    assert restore(source, output) == restored


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("expected ';' before '}'", "esperado '}' antes de ''"),  # The order is another one.
        ("expected ';'", "esperado '' ou ''"),
        ("an empty '' here", "um '' vazio aqui"),
        ("it's 'a' or 'b'", "é '' ou 'b'"),
        ('the pair "/," and "/",', 'o par "/," e "/,"'),
    ],
)
def test_doubtful_ones_stay_as_they_are(source: str, output: str) -> None:
    assert restore(source, output) == output


def test_protected_quotation_marks_stay_as_they_are() -> None:
    assert restore("print ';'", "imprime ''", TextSpan(8, 10)) == "imprime ''"
