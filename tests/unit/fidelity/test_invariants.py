"""Tests that every invariant of the fidelity suite holds for a good answer and fails on a damaged one."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.quality.fidelity.answers import Answer, Part
from benchmarks.quality.fidelity.cases import Case
from benchmarks.quality.fidelity.checks import check_clean, check_spans
from benchmarks.quality.fidelity.invariants import INVARIANTS


def find_damage(
    name: str, wanted: Any, content: str, output: str, *, options: dict[str, Any] | None = None, **answer: Any
) -> list[str]:
    case = Case("a case", "a kind", "en", "pt", content, {name: wanted}, options or {})
    return INVARIANTS[name].check(wanted, case, Answer(output, **answer))


# Columns: invariant, argument, source, good output, damaged outputs.
EXAMPLES: list[tuple[str, Any, str, str, list[str]]] = [
    (
        "keeps",
        ["{name}", "https://a.example/b"],
        "Dear {name}, see https://a.example/b.",
        "Caro {name}, veja https://a.example/b.",
        [
            "Caro {nome}, veja https://a.example/b.",
            "Caro, veja https://a.example/b.",
            "Caro {name} {name}, veja https://a.example/b.",
            "Caro {name}, veja https://a.example/ b.",
            "Caro {name}, vejahttps://a.example/b.",
            "Caro {name}, veja https://a.example/bem.",
        ],
    ),
    ("order", ["{a}", "{b}"], "From {a} to {b}", "De {a} a {b}", ["De {b} a {a}", "De {a}"]),
    ("equals", "", "", "", ["Eu não sei."]),
    ("untouched", True, "世界", "世界", ["mundo", "世界 "]),
    (
        "lines",
        True,
        "One.\r\n\n  Two. \nThree.",
        "Um.\r\n\n  Dois. \nTrês.",
        [
            "Um.\n\n  Dois. \nTrês.",
            "Um.\r\n  Dois. \nTrês.",
            "Um.\r\n\nDois. \nTrês.",
            "Um.\r\n\n  Dois.\nTrês.",
            "Um. Dois.",
        ],
    ),
    (
        "spaces",
        True,
        "Name:   Anna\nRoom  7",
        "Nome:   Anna\nSala  7",
        ["Nome: Anna\nSala  7", "Nome:  Anna\nSala   7", "Nome:   Anna\nSala  7\n\n", "Nome:   Anna  \nSala  7"],
    ),
    (
        "pairs",
        True,
        '"Tea" (hot) [sic]',
        "“Chá” (quente) [sic]",
        ["Chá (quente) [sic]", '"Chá" quente [sic]', '"Chá" (quente) [sic] (em inglês)', '"Chá" quente) [sic]'],
    ),
    ("edges", True, " \u200bTea.\n", " \u200bChá.\n", ["\u200bChá.\n", " Chá.\n", " \u200bChá."]),
    (
        "tags",
        True,
        '<p>A <b class="x">red</b> <i>car</i>.<br/></p><!-- a -->',
        '<p>Um <i>carro</i> <b class="x">vermelho</b>.<br/></p><!-- a -->',
        [
            '<p>Um <i>carro</i> <b class="y">vermelho</b>.<br/></p><!-- a -->',
            "<p>Um <i>carro</i> <b>vermelho</b>.<br/></p><!-- a -->",
            '<p>Um <i>carro <b class="x">vermelho</b></i>.<br/></p><!-- a -->',
            '<p>Um <i>carro</i> <b class="x">vermelho.<br/></p><!-- a -->',
            '<p>Um <i>carro</i> <b class="x">vermelho</b>.<br></p><!-- a -->',
            '<p>Um <i>carro</i> <b class="x">vermelho</b>.<br/></p><!-- um -->',
            '<p>Um <i>carro</i> <b class="x">vermelho</b>.</p><br/><!-- a -->',
            '<p>Um <i>carro</i> <b class="x">vermelho</b>.<br/></p><!-- a --><p></p>',
        ],
    ),
    ("tags", True, "<h1>A</h1><p>b</p>", "<h1>C</h1><p>d</p>", ["<p>d</p><h1>C</h1>"]),
    (
        "markdown",
        True,
        "# Title\n\n- **one** [two](/u)\n- `x`\n\n```\ncode\n```\n",
        "# Título\n\n- [dois](/u) **um**\n- `x`\n\n```\ncode\n```\n",
        [
            "#Título\n\n- [dois](/u) **um**\n- `x`\n\n```\ncode\n```\n",
            "# Título\n\n- [dois](/v) **um**\n- `x`\n\n```\ncode\n```\n",
            "# Título\n\n- [dois](/u) um\n- `x`\n\n```\ncode\n```\n",
            "# Título\n\n- [dois](/u) ** um**\n- `x`\n\n```\ncode\n```\n",
            "# Título\n\n- [dois](/u) **um**\n- `y`\n\n```\ncode\n```\n",
            "# Título\n\n- [dois](/u) **um**\n- `x`\n\n```\ncódigo\n```\n",
            "# Título\n\n- [dois](/u) **um** `x`\n\n```\ncode\n```\n",
        ],
    ),
    ("wraps", {"b": "vermelha"}, "", "A casa <b>vermelha</b>", ["A <b>casa</b> vermelha", "<b>A casa vermelha é</b>"]),
    ("wraps", {"b": ["pão", "vinho"]}, "", "<b>pão</b> e <b>vinho</b>", ["<b>pão</b> e <b></b>vinho"]),
    (
        "numbers",
        True,
        "1,234.5 of 98 units, 7 of them at 14:00",
        "1.234,5 de 98 unidades, sete delas às 14h",
        [
            "1,234,5 de 98 unidades, sete delas às 14h",
            "1.235,5 de 98 unidades, sete delas às 14h",
            "1.234,5 de 98 unidades, oito delas às 14h",
            "1.234,5 de 89 unidades, sete delas às 14h",
            "1.234,5 de 98 unidades, sete delas",
            "1.234,5 de 98 unidades, sete delas às 14h e 98",
        ],
    ),
    ("sentences", 2, "", "Um. Dois!", ["Um, dois!"]),
    ("length", [0.5, 2.0], "abcd", "efgh", ["e", "efghefghe"]),
    ("contains", ["sopa", "ervilha|ervilhas"], "", "Sopa de ervilhas", ["Sopa", "Sopas de ervilha", "SOPA OF PEAS"]),
    ("lacks", ["desculpe", "<5"], "", "Olá", ["Desculpe, não sei", "a <5"]),
    ("matches", ["^- "], "", "a\n- b", ["a - b"]),
    ("translated", True, "The wooden table", "A mesa de madeira", ["The wooden table", "The wooden table, sim", ""]),
    ("casing", "upper", "", "SOPA DE ERVILHA", ["Sopa de ervilha", "SOPA de ERVILHA"]),
    (
        "casing",
        "title",
        "",
        "Como Cultivar Tomates em Casa",
        ["Como cultivar tomates em casa", "COMO CULTIVAR TOMATES"],
    ),
    ("casing", "sentence", "", "A ONU assinou o tratado em maio", ["A ONU ASSINOU o tratado"]),
    (
        "no_loop",
        True,
        "",
        "Não, não, não, isso não.",
        ["não não não não não não", "o gato e o gato e o gato e o gato e o gato e "],
    ),
    ("glossary", ["livro-razão"], "", "O Livro-razão", ["O livro razão", "O razão"]),
]


@pytest.mark.parametrize(("name", "wanted", "content", "good", "damaged"), EXAMPLES)
def test_an_invariant_holds_for_a_good_output_and_fails_on_each_damaged_one(
    name: str, wanted: Any, content: str, good: str, damaged: list[str]
) -> None:
    assert find_damage(name, wanted, content, good) == []
    for output in damaged:
        assert find_damage(name, wanted, content, output), output


@pytest.mark.parametrize(
    ("name", "wanted", "good", "bad"),
    [
        ("passthrough", True, {"flags": frozenset({"PASSTHROUGH"})}, {"flags": frozenset()}),
        ("detected", "en|pt", {"detected": "pt-BR"}, {"detected": "gl"}),
        ("resolved", "pt", {"target": "pt-PT"}, {"target": "es"}),
        ("flags", ["A", "B"], {"flags": frozenset("B")}, {"flags": frozenset("C")}),
        ("unflagged", ["A"], {"flags": frozenset("B")}, {"flags": frozenset("A")}),
        ("error", "NOT_FOUND", {"error": "NOT_FOUND NOT_SERVED"}, {"error": ""}),
        ("seconds", 1.0, {"seconds": 0.5}, {"seconds": 1.5}),
        ("aligned", [["red", "vermelha"]], {"links": [("red", "vermelha")]}, {"links": [("red", "casa")]}),
        ("as_normal", "", {"normal": "7 euros"}, {"normal": "A sopa de ervilha está pronta"}),
    ],
)
def test_invariants_on_other_fields_than_the_text(
    name: str, wanted: Any, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    assert find_damage(name, wanted, "7 EUROS", "7 EUROS", **good) == []
    assert find_damage(name, wanted, "7 EUROS", "7 EUROS", **bad)


def test_every_invariant_is_tested_here() -> None:
    tested = {name for name, *_ in EXAMPLES}
    assert set(INVARIANTS) - tested == {
        *("passthrough", "detected", "resolved", "flags", "unflagged", "error", "seconds", "aligned", "as_normal")
    }


def test_a_passthrough_may_change_nothing() -> None:
    assert find_damage("passthrough", True, "7", "7 ", flags=frozenset({"PASSTHROUGH"}))


def test_a_string_to_keep_that_the_source_lacks_is_reported() -> None:
    assert find_damage("keeps", ["{nome}"], "Dear {name}", "Caro {nome}")


def test_xml_must_stay_well_formed() -> None:
    xml = {"text_format": "XML"}
    assert find_damage("tags", True, "<p>A &amp; b</p>", "<p>A &amp; b</p>", options=xml) == []
    assert find_damage("tags", True, "<p>A &amp; b</p>", "<p>A & b</p>", options=xml)
    assert find_damage("tags", True, "<p>A & b</p>", "<p>A & b</p>", options=xml) == []


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("1,234 people", "1.234 pessoas"),
        ("1 234 567 bees", "1 234 567 abelhas"),
        ("3.5% and 3.5%", "3,5% e 3,5%"),
        ("3.5 metres", "3.5 metros"),
        ("at 5:45 p.m.", "às 17:45"),
        ("at 9:00", "às 9h"),
        ("version 1.2.3", "versão 1.2.3"),
        ("10–15 pages", "10 a 15 páginas"),
        ("the 3rd and the fourth", "o terceiro e o 4º"),
        ("12,345,678.9", "12.345.678,9"),
    ],
)
def test_numbers_may_use_the_notation_of_the_target_language(source: str, output: str) -> None:
    assert find_damage("numbers", True, source, output) == []


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("1,234 people", "1,234 pessoas"),
        ("1.234 metres", "1.234 metros"),
        ("$1,234.50", "$1,234,50"),
        ("1.5 kg", "15 kg"),
        ("version 1.2.3", "versão 1,2,3"),
        ("210–245", "210 a 2445"),
        ("12 bees", "bees"),
        ("bees", "12 abelhas"),
        ("40 and 40", "40"),
    ],
)
def test_a_number_of_another_value_is_damage(source: str, output: str) -> None:
    assert find_damage("numbers", True, source, output)


@pytest.mark.parametrize("leak", ["\ue000", "\ufffc", "⁇", "<unk>", "\x02", "▁"])
def test_masks_and_special_tokens_must_not_be_in_the_output(leak: str) -> None:
    case = Case("a case", "a kind", "en", "pt", "Tea.", {})
    assert check_clean(case, Answer("Chá.\n")) == []
    assert check_clean(case, Answer(f"Chá{leak}."))
    written = Case("a case", "a kind", "en", "pt", f"Tea{leak}.", {})
    assert check_clean(written, Answer(f"Chá{leak}.")) == []
    assert check_clean(written, Answer(f"Chá{leak}{leak}."))


def test_segments_stand_at_their_reported_spans() -> None:
    case = Case("a case", "a kind", "en", "pt", "Tea.", {})
    assert check_spans(case, Answer("A. Chá.", parts=[Part("Chá.", 3, 7)])) == []
    assert check_spans(case, Answer("A. Chá.", parts=[Part("Chá.", 2, 6)]))
