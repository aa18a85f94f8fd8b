"""Protected spans come out of a translation unchanged, over a real channel, whatever the model does to the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from latimer import AsyncClient, InvalidArgumentError
from latimer_server.backends.protocol import Backend, Encoding
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds
from tests.fakes import EchoBackend, UpperBackend, serve_fakes

_ANY = LanguagePair()


class Losing(UpperBackend):
    """A model that drops every word with a digit."""

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        return [re.sub(r"\S*\d\S*", "", text) for text in super().decode(ids)]


class Doubling(UpperBackend):
    """A model that writes everything twice."""

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        return [f"{text} {text}" for text in super().decode(ids)]


VOWELS = str.maketrans("aeiou", "oauei")


class Foreign(EchoBackend):
    """A model that replaces each vowel with another."""

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        return [text.translate(VOWELS) for text in super().decode(ids)]


class Latin(UpperBackend):
    """A model that knows ASCII only, and writes `?` for the rest."""

    def encode(self, texts: Sequence[str], languages: LanguagePair = _ANY) -> list[Encoding]:
        rows = super().encode(["".join(c if c.isascii() else "?" for c in text) for text in texts])
        return [Encoding(row.ids, sum(not c.isascii() for c in text)) for row, text in zip(rows, texts, strict=True)]


async def translate(text: str, backend: Backend | None = None, **options: Any) -> Any:
    backends = {"en-pt": backend or UpperBackend()}
    async with serve_fakes(backends) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        return await client.translate(text, target="pt", source="en", **options)


KEPT = [
    "https://example.com/a(b)?x=1&y=2#z",
    "www.example.org/path",
    "jane.doe+x@mail.example.com",
    "+55 (11) 91234-5678",
    "2024-05-03",
    "2024-05-03T10:00:00Z",
    "v1.2.3",
    "2.10.4-rc1",
    "192.168.0.1:8080",
    "fe80::1",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "/etc/passwd",
    "C:\\Users\\ana\\notes.txt",
    "src/main.py",
    "notes.txt",
    "`rm -rf x`",
    "foo_bar",
    "fooBar",
    "run()",
    "--force",
    "@maria",
    "#sale",
    ">>por<<",
    "<b class='x'>",
    "&amp;",
    "👩‍👩‍👧",
    "🇧🇷",
]


@pytest.mark.parametrize("model", [UpperBackend(), Losing(), Doubling()])
@pytest.mark.parametrize("kept", KEPT)
async def test_a_protected_span_comes_out_exactly_once(kept: str, model: Backend) -> None:
    result = await translate(f"please see {kept} now, and wait.", model)
    assert result.text.count(kept) == 1
    assert "SEE" in result.text
    assert "WAIT" in result.text
    assert "PLACEHOLDER_MISMATCH" not in result.flags


async def test_punctuation_and_brackets_of_the_sentence_are_not_protected() -> None:
    result = await translate("look (at http://a.b/c_(d)), http://e.f/; or 'http://g.h'. end")
    assert result.text == "LOOK (AT http://a.b/c_(d)), http://e.f/; OR 'http://g.h'. END"


async def test_prose_is_not_protected() -> None:
    text = "well-known and/or e.g. U.S. self-driving 3.14 and 15 at 10:30 on 3/5, O'Neil said: no!"
    assert (await translate(text, sentence_splitting="off")).text == text.upper()


async def test_without_protection_the_model_gets_the_whole_text() -> None:
    result = await translate("see foo_bar now", disable_builtin_protection=True)
    assert result.text == "SEE FOO_BAR NOW"


@pytest.mark.parametrize(
    ("syntax", "kept"),
    [
        ("printf", ["%s", "%1$d", "%(name)s", "%-5.2f", "%%"]),
        ("icu", ["{name}", "{0}", "{n, number, percent}"]),
        ("mustache", ["{{name}}", "{{{raw}}}", "{{#list}}"]),
        ("shell", ["${HOME}", "$PATH", "$(pwd)"]),
        ("xliff", ['<x id="1"/>', '<g id="2">', "</g>"]),
        ("i18next", ["{{count}}", "$t(key)"]),
    ],
)
async def test_placeholders_of_a_requested_syntax_are_kept(syntax: str, kept: list[str]) -> None:
    text = " and ".join(f"one {placeholder} two" for placeholder in kept)
    for model in (UpperBackend(), Losing()):
        result = await translate(text, model, syntaxes=[syntax])
        assert [result.text.count(placeholder) for placeholder in kept] == [1] * len(kept)
        assert result.text.count("TWO") == len(kept)


async def test_text_next_to_a_placeholder_stays_next_to_it() -> None:
    result = await translate('set {n}px and <g id="1">the window</g>, now', syntaxes=["icu", "xliff"])
    assert result.text == 'SET {n}PX AND <g id="1">THE WINDOW</g>, NOW'


async def test_figures_alone_in_a_cell_have_the_notation_of_the_target_language() -> None:
    result = await translate("Notebook          2     5.00\nTotal                  17.50")
    assert result.text == "NOTEBOOK          2     5,00\nTOTAL                  17,50"


async def test_thousands_are_separated_as_in_the_target_language() -> None:
    result = await translate("it sold 1,234 of 98,765.43 for $1,234,567.50 in 2019 (3.5 each).")
    assert result.text == "IT SOLD 1.234 OF 98.765,43 FOR $1.234.567,50 IN 2019 (3.5 EACH)."


async def test_numbers_that_a_model_changes_are_repaired() -> None:
    class Confused(Foreign):
        def decode(self, ids: Sequence[TokenIds]) -> list[str]:
            return [text.replace("15", "51").replace("3.5", "35") for text in super().decode(ids)]

    text = "the 15 boats are 3.5 m long and the crew was glad of it."
    result = await translate(text, Confused())
    assert result.text == text.translate(VOWELS).replace("3.5", "3,5")
    assert "NUMBER_MISMATCH" not in result.flags


async def test_a_loop_is_decoded_again_without_repeated_ngrams() -> None:
    class Looping(Foreign):
        def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
            done = super().run(batch, options, cancelled)
            if options.no_repeat_ngram_size:
                return done
            return [Hypothesis(row.ids + (34, *row.ids[-6:]) * 8, row.log_prob, truncated=False) for row in done]

    text = "the boats went out at dawn and came back late."
    result = await translate(text, Looping())
    assert result.text == text.translate(VOWELS)
    assert "REPETITION_REPAIRED" in result.flags
    assert "REPETITION" not in result.flags


async def test_patterns_and_phrases_of_the_caller_are_kept() -> None:
    result = await translate(
        "order ab-12 of Blue Sky today, not Blue Skyline.", patterns=[r"[a-z]{2}-\d+"], phrases=["Blue Sky", "Blue"]
    )
    assert result.text == "ORDER ab-12 OF Blue Sky TODAY, NOT Blue SKYLINE."


async def test_terms_come_out_as_their_translations() -> None:
    terms = [
        {"source_text": "network", "target_text": "rede"},
        {"source_text": "network card", "target_text": "placa de rede"},
        {"source_text": "IT", "target_text": "TI", "case_sensitive": True},
    ]
    result = await translate(
        "the Network card of it is IT. network down", glossary_terms=terms, sentence_splitting="off"
    )
    assert result.text == "THE Placa de rede OF IT IS TI. rede DOWN"
    assert (await translate("network", glossary_terms=terms)).text == "rede"
    assert (await translate("see http://network.org/network", glossary_terms=terms)).text.endswith(
        "http://network.org/network"
    )


async def test_characters_outside_the_vocabulary_are_replaced_or_kept() -> None:
    result = await translate("see 中文 and “this”\u00a0— it’s non\u2011stop → ok\u200b now 🎉", Latin())
    assert result.text == "SEE 中文 AND “THIS” — IT'S NON-STOP → OK NOW 🎉"
    assert not {"PLACEHOLDER_MISMATCH", "UNKNOWN_TOKENS"} & set(result.flags)
    assert "?" not in (await translate("Škoda and naïve", Latin())).text


async def test_a_span_of_several_lines_is_not_divided() -> None:
    block = "{{#each item.}}\n{{name of it.}}\n{{/each}}"
    result = await translate(
        f"you have {block} left. good", syntaxes=["mustache"], patterns=["(?s)[{]{2}#.*/each[}]{2}"]
    )
    assert result.text == f"YOU HAVE {block} LEFT. GOOD"


async def test_the_messages_of_a_plural_argument_are_translated_and_its_structure_is_kept() -> None:
    message = "you have {n, plural,\n one {# item.}\n other {# items of {x}}} left. good"
    result = await translate(message, syntaxes=["icu"])
    assert result.text == "YOU HAVE {n, plural,\n one {# ITEM.}\n other {# ITEMS OF {x}}} LEFT. GOOD"


async def test_a_pivot_keeps_protected_spans_too() -> None:
    backends = {"en-pt": Losing(), "pt-de": Losing()}
    async with serve_fakes(backends) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        result = await client.translate("see http://a.b/1 and {x} now", target="de", source="en", syntaxes=["icu"])
    assert result.text == "SEE http://a.b/1 AND {x} NOW"
    assert result.models == ("en-pt", "pt-de")


async def test_target_spans_of_segments_include_protected_spans() -> None:
    result = await translate("See http://a.b/path. Go to http://d.e.", include_segments=True)
    assert [result.text[segment.target_span.start : segment.target_span.end] for segment in result.segments] == [
        "SEE http://a.b/path.",
        "GO TO http://d.e.",
    ]


async def test_forty_spans_in_a_sentence_come_out_in_order() -> None:
    links = [f"http://a.b/{number}" for number in range(40)]
    result = await translate("see " + " and ".join(links), Losing())
    assert re.findall(r"http://a\.b/\d+", result.text) == links


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"patterns": ["(a"]}, r"options\.patterns\[0\].*RE2"),
        ({"patterns": ["x", "a" * 257]}, r"options\.patterns\[1\].*257 code points; 1 to 256"),
        ({"patterns": ["x"] * 33}, "options.patterns.*33 items; at most 32"),
        ({"patterns": [r"(?=x)"]}, "options.patterns"),
        ({"patterns": ["((a{100}){100}){100}"]}, "options.patterns"),
        ({"phrases": ["x"] * 1_001}, "options.phrases.*1001 items; at most 1000"),
        ({"phrases": [""]}, r"options\.phrases\[0\]"),
        (
            {"glossary_terms": [{"source_text": "x", "target_text": "y"}] * 10_000},
            "glossary_terms.*more than 1000 items; at most 1000",
        ),
        ({"glossary_terms": [{"source_text": "", "target_text": "y"}]}, r"glossary_terms\[0\]\.source_text"),
        ({"syntaxes": ["unspecified"]}, r"options\.syntaxes\[0\]"),
    ],
)
async def test_an_option_over_its_limit_is_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError, match=field):
        await translate("x", **options)


async def test_hostile_patterns_and_a_thousand_terms_are_served() -> None:
    terms = [{"source_text": f"term {number} of many", "target_text": f"t{number}"} for number in range(1_000)]
    text = ("a" * 5_000 + " ") * 20 + "term 999 of many"
    result = await translate(text, EchoBackend(10_000), patterns=["(a+)+b", "(.*)*c"], glossary_terms=terms)
    assert result.text.endswith("t999")


async def test_a_term_of_signs_at_the_edge_comes_out_as_its_translation() -> None:
    result = await translate("it grew by fifty %", glossary_terms=[{"source_text": "%", "target_text": "por cento"}])
    assert result.text == "IT GREW BY FIFTY por cento"
    assert "GLOSSARY_MISS" not in result.flags


async def test_a_pattern_that_takes_more_than_two_seconds_fails_only_its_item() -> None:
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        slow, quick = await client.translate(["a" * 300_000, "see b"], target="pt", source="en", patterns=["a[^b]*b|a"])
    assert "options.patterns" in str(slow.error)
    assert quick.text == "see b"
