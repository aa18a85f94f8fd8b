"""Tests of pairs of tags in plain texts, and of raised and lowered signs."""

from __future__ import annotations

import pytest

from latimer_server.text.markup import OBJECT, TextFormat, parse_markup, read_inline_tags, render
from latimer_server.text.protection.glossary import GlossaryTerm, compile_glossary
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.segmenting import ParsedContent, parse_content, read_tags, segment_content


@pytest.mark.parametrize(
    ("source", "text", "marks"),
    [
        ("to <Link to='/a'>terms</Link> of <3>a</3>", "to terms of a", ["<Link to='/a'>", "</Link>", "<3>", "</3>"]),
        ("a <b>c <i>d</b> e", "a c <i>d e", ["<b>", "</b>"]),
        ("press <kbd>Enter</kbd> <b>now</b>", f"press {OBJECT} now", ["<kbd>Enter</kbd>", "<b>", "</b>"]),
        ("the [b]red[/b] and [url=x]old[/url] [note]", "the red and old [note]", ["[b]", "[/b]", "[url=x]", "[/url]"]),
        ("the \\emph{red cat} and \'\'\'it\'\'\'", "the red cat and it", ["\\emph{", "}", "\'\'\'", "\'\'\'"]),
        ("**never** open 2**3**4", "never open 2**3**4", ["**", "**"]),
        ("you *quit*? It is _not fair_.", "you quit? It is not fair.", ["*", "*", "_", "_"]),
        ("x <b>&amp; y</b> < z", "x &amp; y < z", ["<b>", "</b>"]),
        ("see [the *old* map](/m) now", "see the old map now", ["[", "*", "*", "](/m)"]),
        ('a [b c](https://x.org/d "E f") g', "a b c g", ["[", '](https://x.org/d "E f")']),
    ],
)  # fmt: skip
def test_pairs_of_tags_around_words_are_marks(source: str, text: str, marks: list[str]) -> None:
    document = read_inline_tags(source)
    assert document is not None
    (block,) = document.blocks
    assert block.text == text
    assert [mark.written for mark in block.marks] == marks


@pytest.mark.parametrize(
    "source",
    [
        "* one\n* two",
        "2 *3* 4",
        "f(*args, _x)",
        "a_b_c",
        "`_key_`",
        "_key_.js",
        "/_next_/",
        "*a *b",
        "a < b",
        "use <p> and </p> here",
        "<p>One.",
        "<div>a<p>b</div></p>",
        "<!-- <p>One.</p> -->",
        "<script>x</script><p>One.</p>",
        "![a bridge](b.png) c",
        "a[b](c)",
        "[1](x)",
        "a <br/> b",
        "<user> is </3>",
        "<x>1</x> a",
        "a<b></b>",
        "",
    ],
)
def test_other_tags_are_text(source: str) -> None:
    assert read_inline_tags(source) is None


def test_block_elements_divide_a_plain_text() -> None:
    source = "<ul>\n<li>Free <b>old</b> R$&nbsp;9 &amp; x</li><li>Two</li></ul>\n<pre>kept <b>code</b></pre>"
    document = read_inline_tags(source)
    assert document is not None
    assert [block.text for block in document.blocks] == ["Free old R$\u00a09 &amp; x", "Two"]
    assert [mark.written for block in document.blocks for mark in block.marks] == ["<b>", "</b>"]
    assert render(document, [block.source for block in document.blocks]).text == source


def test_lines_and_columns_of_a_text_with_tags_are_segments() -> None:
    parsed = read_tags(ParsedContent("<b>One</b> line\nName:    <i>two</i> of it"))
    (part,) = segment_content(parsed, "en", Splitting.SENTENCES, ProtectionRules(), None)
    assert part.is_plain
    assert part.document.segments == ["One line", "Name:", "two of it"]


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("the note<sup>a</sup> of it<sup>12</sup>", [OBJECT, OBJECT]),
        ("at 100<sup>o</sup>C, CO<sub>2</sub> and 5 km<sup>2</sup>", [f"100{OBJECT}C", f"CO{OBJECT}", f"km{OBJECT}"]),
        ("the toy<sup>TM</sup> and house<sup>[3]</sup>", [OBJECT, OBJECT]),
        ("the 21<sup>st</sup> <sup>raised</sup> word", []),
        ("the <ruby>word<rt>reading</rt></ruby> x", [OBJECT]),
    ],
)
def test_raised_signs_are_objects_and_part_of_formulas(source: str, kept: list[str]) -> None:
    parsed = parse_content(source, TextFormat.HTML, ())
    (part,) = segment_content(parsed, "en", Splitting.SENTENCES, ProtectionRules(), None)
    (segment,) = part.segments
    assert segment.wanted == kept


def test_a_glossary_term_is_found_beside_a_raised_sign() -> None:
    glossary = compile_glossary([GlossaryTerm("river house", "T")])
    parsed = parse_content("the river house<sup>1</sup> and <b>river house</b>", TextFormat.HTML, ())
    (part,) = segment_content(parsed, "en", Splitting.SENTENCES, ProtectionRules(), glossary)
    assert [new for new in part.segments[0].replacements if new] == ["T", "T"]


@pytest.mark.parametrize(
    "unit",
    [
        "<a>",
        "</a>",
        "<a>b</a>",
        "<a b",
        "<3",
        "<sup>1</sup>",
        "a<sup>1</sup>",
        "[b]",
        "[a](",
        "[a](b)",
        "<p>",
        "</p>",
        "<p>a</p>",
        "**a",
        "''",
        "\\emph{",
    ],
)
def test_hostile_tags_take_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    parsed = read_tags(ParsedContent(text))
    assert segment_content(parsed, "en", Splitting.SENTENCES, ProtectionRules(), None)
    assert parse_markup(text, TextFormat.HTML).source == text
