"""An output begins with a small letter if its source does."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits
from latimer_server.text.sentence_start import lower_start


def write(source: str, output: str, target: str, spans: tuple[TextSpan, ...] = ()) -> str:
    return apply_edits(output, lower_start(ProtectedText(source), ProtectedText(output, spans), target))[0]


@pytest.mark.parametrize(
    ("source", "output", "target", "expected"),
    [
        ("the price of the goods;", "O preço das mercadorias;", "pt", "o preço das mercadorias;"),
        ("a data de pagamento.", "The date of payment.", "en", "the date of payment."),
        ("(see below)", "(Ver abaixo)", "pt", "(ver abaixo)"),
        ("pesquisar arquivos", "Search files", "en", "search files"),
        ("cada um", "Each one", "en", "each one"),
        ("estes arquivos", "These files", "en", "these files"),
        ("3 x leite integral", "3 x Whole milk", "en", "3 x whole milk"),
        ("3 x leite integral 1 L ...", "3 x Whole milk 1 L...", "en", "3 x whole milk 1 L..."),
        ("2× whole milk", "2× Leite integral", "pt", "2× leite integral"),
    ],
)
def test_the_first_letter_becomes_small(source: str, output: str, target: str, expected: str) -> None:
    assert write(source, output, target) == expected


@pytest.mark.parametrize(
    ("source", "output", "target"),
    [
        ("The price", "O preço", "pt"),
        ("eu acho que sim", "I think so", "en"),
        ("segunda-feira de manhã", "Monday morning", "en"),
        ("os portugueses chegaram", "Portuguese people arrived", "en"),
        ("o João chegou", "João arrived", "en"),
        ("a Alemanha venceu", "Germany won", "en"),
        ("iPhone users report", "Usuários do iPhone relatam", "pt"),
        ("3 files", "Três arquivos", "pt"),
        ("3 x 2 palmeiras", "3 x 2 Palmeiras", "en"),
        ("3 x Leite", "3 x Milk", "en"),
        ("via NATO", "NATO", "pt"),
        ("manual completo", "Complete Manual", "en"),
        ("the house", "Das Haus", "de"),
    ],
)
def test_names_and_other_capitals_stay(source: str, output: str, target: str) -> None:
    assert write(source, output, target) == output


def test_protected_spans_stay() -> None:
    assert write("the file", "File abre", "pt", (TextSpan(0, 4),)) == "File abre"
