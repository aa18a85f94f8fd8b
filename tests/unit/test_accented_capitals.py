"""Words that lost the accent of their capital, or their capital, get it back."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.accented_capitals import capitalize_accented, restore_accents
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits

_SCORES = {"última": -9.8, "ultima": -13.1, "ópera": -13.0, "Opera": -10.9, "opera": -11.1, "úlcera": -14.8}


def restore(source: str, output: str, spans: tuple[TextSpan, ...] = (), known: str = "ÁÉ") -> str:
    def score(word: str) -> float | None:
        return _SCORES.get(word, -20.0)

    edits = restore_accents(ProtectedText(source), ProtectedText(output, spans), known.__contains__, score)
    return apply_edits(output, edits)[0]


def capitalize(source: str, output: str, spans: tuple[TextSpan, ...] = ()) -> str:
    return apply_edits(output, capitalize_accented(ProtectedText(source), ProtectedText(output, spans)))[0]


def test_a_frequent_word_gets_its_accent() -> None:
    assert restore("Last updated: now", "Ultima atualização: agora") == "Última atualização: agora"


@pytest.mark.parametrize("output", ["A Opera abre", "Ulcera", "A Ultima-1", "ultima", "Iris", "ULTIMA"])
def test_other_words_stay(output: str) -> None:
    assert restore("a text", output) == output


def test_words_of_the_source_and_protected_words_stay() -> None:
    assert restore("Play Ultima", "Jogue Ultima") == "Jogue Ultima"
    assert restore("x", "Ultima x", (TextSpan(0, 6),)) == "Ultima x"


def test_capitals_that_the_vocabulary_has_are_left_to_the_model() -> None:
    assert restore("x", "Ultima", known="Ú") == "Ultima"


def test_an_output_begins_with_a_capital_as_its_source() -> None:
    assert capitalize("Icon", "ícone") == "Ícone"
    assert capitalize("(Icons)", "(ícones)") == "(Ícones)"


@pytest.mark.parametrize(
    ("source", "output"), [("icon", "ícone"), ("iPhone", "iPhone"), ("3 icons", "ícones"), ("Icon", "o ícone")]
)
def test_other_beginnings_stay(source: str, output: str) -> None:
    assert capitalize(source, output) == output


def test_a_protected_beginning_stays() -> None:
    assert capitalize("Icon", "ícone", (TextSpan(0, 5),)) == "ícone"


def test_hostile_texts_take_linear_time() -> None:
    restore("x", "Ultima" * 20_000)
    restore("x", "Ultima " * 20_000)
