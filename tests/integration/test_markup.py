"""Markup over a real channel: only text is translated, tags follow their words, everything else stays unchanged."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from latimer import AsyncClient, InvalidArgumentError
from latimer.options import TextFormatName
from latimer_server.backends.protocol import Backend
from tests.fakes import UpperBackend, make_catalog, make_entry, serve_fakes


async def translate(text: str, text_format: TextFormatName, backend: Backend | None = None, **options: Any) -> Any:
    guided = options.pop("guided", True)
    catalog = make_catalog(make_entry("en-pt", "en", "pt", guided_alignment=guided))
    backends = {"en-pt": backend or UpperBackend()}
    async with serve_fakes(backends, catalog=catalog) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        return await client.translate(text, target="pt", source="en", text_format=text_format, **options)


@pytest.mark.parametrize(
    ("text_format", "text", "expected"),
    [
        ("html", "<p>the <b>red</b> house</p>", "<p>THE <b>RED</b> HOUSE</p>"),
        ("html", "<a href='?a&b=2' title='me'>go</a> &amp; stay", "<a href='?a&b=2' title='me'>GO</a> &amp; STAY"),
        ("html", "<p>run <code>rm -rf</code> now<br>and wait</p>", "<p>RUN <code>rm -rf</code> NOW<br>AND WAIT</p>"),
        ("html", "<p translate='no'>keep</p><p>go</p>", "<p translate='no'>keep</p><p>GO</p>"),
        ("html", "<script>a = 'b';</script><!-- no -->door", "<script>a = 'b';</script><!-- no -->DOOR"),
        ("html", "<p>see http://a.b/c and {x}", "<p>SEE http://a.b/c AND {x}"),
        ("xml", "<?xml version='1.0'?><d><t>one</t><u>two</u></d>", "<?xml version='1.0'?><d><t>ONE</t><u>TWO</u></d>"),
        ("markdown", "# title\n\n- *one*\n- `two`\n", "# TITLE\n\n- *ONE*\n- `two`\n"),
        ("markdown", "| a b | c |\n|---|---|\n| **d** | 5 |\n", "| A B | C |\n|---|---|\n| **D** | 5 |\n"),
        ("html", "<a>one two</a><a>red cat</a>", "<a>ONE TWO</a><a>RED CAT</a>"),
        ("html", "<a>one</a> | <a>red cat</a>", "<a>ONE</a> | <a>RED CAT</a>"),
        ("markdown", "see http://a.b/c_d_(e)*f~g or a_ *x*", "SEE http://a.b/c_d_(e)*f~g OR a\\_ *X*"),
        ("markdown", "---\ntitle: x\n---\n\nsee [the page](http://a.b).\n", "---\ntitle: x\n---\n\nSEE [THE PAGE](http://a.b).\n"),
    ],
)  # fmt: skip
async def test_only_text_is_translated(text_format: TextFormatName, text: str, expected: str) -> None:
    result = await translate(text, text_format, syntaxes=["icu"])
    assert result.text == expected


async def test_attributes_are_translated_on_request_and_segments_keep_their_places() -> None:
    text = "<p>see <img alt='red cat'> <a href='/x' title='the \"old\" page'>this</a>. go on</p><input value=no>"
    result = await translate(text, "html", translate_attributes=True, include_segments=True)
    assert result.text == (
        "<p>SEE <img alt='RED CAT'> <a href='/x' title='THE \"OLD\" PAGE'>THIS</a>. GO ON</p><input value=no>"
    )
    places = [segment.target_span for segment in result.segments]
    assert [result.text[place.start : place.end] for place in places] == [segment.text for segment in result.segments]
    assert len(places) == 2


@pytest.mark.parametrize("guided", [True, False])
async def test_tags_around_words_of_a_plain_text_are_kept_around_them(guided: bool) -> None:
    text = "to the <Link>terms</Link>\nName:    <0>of {x}</0> & <br/> it"
    result = await translate(text, "plain", guided=guided)
    assert result.text == "TO THE <Link>TERMS</Link>\nNAME:    <0>OF {x}</0> & <br/> IT"


_KEPT = ["{city}", "%s", "%(house)s", "{{name}}", "${x}", "https://a.org/b-c?d=1", "bob@example.com"]
_LAST = ["%s", "https://a.org/b-c?d=1", "bob@example.com"]


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize(
    ("text_format", "pairs", "objects"),
    [
        ("html", [("<b>", "</b>"), ("<i>", "</i>"), ("", "")], ["<img src='i'>", "<code>c</code>", "<!-- n -->", " "]),
        ("markdown", [("**", "**"), ("*", "*"), ("", "")], ["`c`", "![i](u)", "<!-- n -->", " "]),
    ],
)  # fmt: skip
async def test_no_neighbour_of_a_placeholder_or_address_changes_it(
    text_format: TextFormatName, pairs: list[tuple[str, str]], objects: list[str], guided: bool
) -> None:
    random = Random(17)
    texts, kept = [], []
    for _ in range(200):
        spans = random.sample(_KEPT, 3)
        text = "see "
        for span in spans:
            opening, closing = random.choice(pairs)
            before = random.choice(["trees", "was", "the old house "])
            if span in _LAST:  # a letter directly behind it would be a part of it
                text += opening + before.rstrip() + (" " if span != "%s" else "") + span + closing
                text += random.choice(objects)
            else:
                text += opening + before + span + random.choice(["now", " then", ""]) + closing
                text += random.choice([*objects, ""])
        texts.append(text + " end")
        kept.append(spans)
    catalog = make_catalog(make_entry("en-pt", "en", "pt", guided_alignment=guided))
    server = serve_fakes({"en-pt": UpperBackend()}, catalog=catalog)
    async with server as running, AsyncClient(f"127.0.0.1:{running.port}") as client:
        results = await client.translate(texts, target="pt", source="en", text_format=text_format)
    broken = [
        (text, span, result.text)
        for text, spans, result in zip(texts, kept, results, strict=True)
        for span in spans
        if span not in result.text
    ]
    assert broken == []


async def test_without_alignment_tags_stay_in_their_block_and_a_flag_says_so() -> None:
    result = await translate("<p>the <b>red</b> house is old</p>", "html", guided=False)
    assert "MARKUP_REPAIRED" in result.flags
    assert result.text.count("<b>") == result.text.count("</b>") == 1
    assert result.text.startswith("<p>")
    assert result.text.endswith("</p>")


async def test_ignored_elements_are_not_translated() -> None:
    result = await translate("<p>the <x>red</x> house</p>", "html", ignore_tags=["x"])
    assert result.text == "<p>THE <x>red</x> HOUSE</p>"


async def test_spans_of_segments_include_their_tags() -> None:
    text = "<p>The <b>red</b> house. It is old.</p><p>Go &amp; see.</p>"
    result = await translate(text, "html", include_alignment=True)
    assert [text[s.source_span.start : s.source_span.end] for s in result.segments] == [
        "The <b>red</b> house.",
        "It is old.",
        "Go &amp; see.",
    ]
    for segment in result.segments:
        assert result.text[segment.target_span.start : segment.target_span.end] == segment.text
        for link in segment.alignment:
            source = text[link.source_span.start : link.source_span.end]
            assert result.text[link.target_span.start : link.target_span.end].lower() == source.lower()


async def test_the_language_is_detected_from_the_text_without_tags() -> None:
    text = "<div class='the house of the king'><span>O gato dorme na casa da minha avó todos os dias.</span></div>"
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        result = await client.translate(text, target="en", text_format="html")
    assert result.source_language == "pt"


@pytest.mark.parametrize("text_format", ["html", "xml", "markdown"])
@pytest.mark.parametrize(
    "text",
    [
        "<b>" * 1_000 + "deep" + "</b>" * 1_000,
        "</b></i>text<b><i>",
        "<" * 5_000,
        "a<b c=d",
        "> " * 500 + "deep",
        "",
        " ",
        "\ufffc<br>\ufffc",
    ],
)
async def test_invalid_and_deep_markup_is_answered(text: str, text_format: TextFormatName) -> None:
    result = await translate(text, text_format)
    assert result.error is None
    assert result.text.lower().replace("\\", "").count("deep") == text.count("deep")


async def test_the_number_of_ignored_elements_has_a_limit() -> None:
    with pytest.raises(InvalidArgumentError, match=r"options\.ignore_tags.*101 items; at most 100"):
        await translate("x", "html", ignore_tags=["x"] * 101)
