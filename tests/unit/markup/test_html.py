"""Tests of HTML: the text of its blocks, and the parts without text."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup import OBJECT, TextFormat, parse_markup
from tests.unit.markup.texts import list_marks, list_texts, translate


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("plain", ["plain"]),
        ("<p>One<p>Two", ["One", "Two"]),
        ("<ul><li>One <b>two</b></li><li>Three</ul>", ["One two", "Three"]),
        ("<table><tr><th>A<td>B</table>", ["A", "B"]),
        ("<div>before<p>inside</p>after</div>", ["before", "inside", "after"]),
        ("<title>T &amp; <b></title>", ["T & <b>"]),
        ("Fish &amp; chips &lt; AT&T &eacute; &foo;", ["Fish & chips < AT&T é &foo;"]),
        ("one<br>two", [f"one{OBJECT}two"]),
        ("say <code>x &lt; y</code> twice", [f"say {OBJECT} twice"]),
        ("a<svg><text>no</text></svg>b <math><mi>x</mi></math> c", [f"a{OBJECT}b {OBJECT} c"]),
        ("<p>a <span translate=no>b <b>c</b></span> d", [f"a {OBJECT} d"]),
        ("<p>a <i class='x notranslate'>b</i> d", [f"a {OBJECT} d"]),
        ("a <script>if (x < 1) '</p>'</script> b", [f"a {OBJECT} b"]),
        ("a <code/> b <p>c", [f"a {OBJECT} b", "c"]),
        ("1 < 2 and 3<4 and <", ["1 < 2 and 3<4 and <"]),
        ("a <b", ["a <b"]),
        ("a literal \ufffc", [f"a literal {OBJECT}"]),
        ("x<!-->y<!--->z", [f"x{OBJECT}y{OBJECT}z"]),
    ],
)
def test_finds_text_block_by_block(source: str, texts: list[str]) -> None:
    assert list_texts(source, TextFormat.HTML) == texts


@pytest.mark.parametrize(
    "source",
    [
        "<pre>code <b>x</b></pre>",
        "<script>var x = '<p>text</p>'</script>",
        "<style>p::before { content: 'x' }</style>",
        "<textarea>text</textarea>",
        '<div translate="no"><p>one</p><p>two</p></div>',
        "<p CLASS='a NoTranslate'>x</p>",
        "<!-- text -->",
        "<!doctype html>",
        "<?php echo 'text' ?>",
        "<img alt='text' title='text'>",
        "<input placeholder=text><br>&nbsp;",
        "<!-- never ends <p>text",
        "<pre>never ends",
    ],
)
def test_parts_without_text_are_no_blocks(source: str) -> None:
    assert list_texts(source, TextFormat.HTML) == []


def test_ignored_elements_are_kept() -> None:
    source = "<p>a <Term>b <i>c</i></Term> d</p><aside>e</aside>"
    assert list_texts(source, TextFormat.HTML, ("TERM", "aside")) == [f"a {OBJECT} d"]


def test_tags_around_a_whole_block_are_outside_of_it() -> None:
    (block,) = parse_markup("<p>\n <!-- c --><img src=x><b><i> Hello </i></b><br>\n</p>", TextFormat.HTML).blocks
    assert block.text == "Hello"
    assert block.marks == ()


def test_inline_code_is_part_of_its_sentence() -> None:
    assert list_texts("<p><code>f()</code> returns <var>x</var>.", TextFormat.HTML) == [f"{OBJECT} returns {OBJECT}."]


def test_marks_have_a_partner_and_a_position() -> None:
    source = "<p>a <b>c <i>d</i></b> e</p>"
    (block,) = parse_markup(source, TextFormat.HTML).blocks
    assert list_marks(block) == ["<b>", "<i>", "</i>", "</b>"]
    assert [mark.partner for mark in block.marks] == [3, 2, 1, 0]
    assert [mark.offset for mark in block.marks] == [2, 4, 5, 5]
    assert all(source[mark.source.start : mark.source.end] == mark.written for mark in block.marks)


def test_crossing_tags_pair_as_far_as_they_nest() -> None:
    (block,) = parse_markup("x <i>a <b>b</i> c</b> y", TextFormat.HTML).blocks
    assert [mark.partner for mark in block.marks] == [2, None, 0, None]


def test_line_breaks_are_distinguished_from_other_atoms() -> None:
    (block,) = parse_markup("a<br>b<wbr>c", TextFormat.HTML).blocks
    assert [mark.breaks_line for mark in block.marks] == [True, False]


def test_spans_of_a_block_map_to_spans_of_the_document() -> None:
    source = "<p>Fish &amp; <b>chips</b> today"
    (block,) = parse_markup(source, TextFormat.HTML).blocks
    assert block.text == "Fish & chips today"
    places = [block.locate(TextSpan(*span)) for span in ((0, 4), (5, 6), (7, 12), (3, 8))]
    assert [source[place.start : place.end] for place in places] == ["Fish", "&amp;", "chips", "h &amp; <b>c"]


@pytest.mark.parametrize(
    ("source", "translation", "written"),
    [
        ("a &amp; b", "x & <y> é", "x &amp; &lt;y> é"),
        ("a -&gt; b", "x -> y", "x -&gt; y"),
        ("10&nbsp;km of it", "10\u00a0km", "10&nbsp;km"),
        ("10\u00a0km of it", "10\u00a0km", "10\u00a0km"),
    ],
)
def test_translations_are_escaped(source: str, translation: str, written: str) -> None:
    assert translate(source, TextFormat.HTML, translation, []) == written


def test_a_slash_at_the_end_of_an_attribute_value_does_not_close_the_element() -> None:
    (block,) = parse_markup("x <a href=y/>in</a> z <i class='k'/> w", TextFormat.HTML).blocks
    assert list_marks(block) == ["<a href=y/>", "</a>", "<i class='k'/>"]
    assert block.marks[0].partner == 1
