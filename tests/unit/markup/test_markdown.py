"""Tests of Markdown: the text of its blocks, and the escaping of translations."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup import OBJECT, TextFormat, parse_markup
from latimer_server.text.markup import markdown as markdown_module
from tests.unit.markup.texts import list_marks, list_texts, translate


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("# Title #\n\nSome *text*\nin two lines.", ["Title", "Some text in two lines."]),
        ("---\ntitle: x\n---\ntext", ["text"]),
        ("+++\ntitle = 'x'\n+++\ntext", ["text"]),
        ("a\n\n---\n\nb\n\n---\n", ["a", "b"]),
        ("- one\n- two\n  - three\n", ["one", "two", "three"]),
        ("| a | b |\n|---|---|\n| c \\| d | `x` |\n", ["a", "b", "c | d"]),
        ("> quote\n> goes on\n", ["quote goes on"]),
        ("    code\n\n```py\ncode\n```\n", []),
        ("use `x` or ``y ` z``", [f"use {OBJECT} or {OBJECT}"]),
        ("see <http://a.b> and ![alt *text*](u) there", [f"see {OBJECT} and {OBJECT} there"]),
        ("see [the *text*](u \"title\")", ["see the text"]),
        ("[ref]\n\n[ref]: http://a.b \"title\"\n", ["ref"]),
        ("a  \nb\\\nc", [f"a{OBJECT}b{OBJECT}c"]),
        ("1 \\* 2 &amp; 3", ["1 * 2 & 3"]),
        ("a <kbd>Ctrl</kbd> <b>bold</b> <!-- c --> d", [f"a {OBJECT} bold {OBJECT} d"]),
        ("<div>\n<p>html <i>x</i></p>\n</div>\n", ["html x"]),
        ("- [ ] task\n", ["task"]),
        ("x[^1]\n\n[^1]: note\n", [f"x{OBJECT}", "note"]),
        ("# Title {#anchor}\n", ["Title"]),
        ("\ufeff# Ação\n\nvocê *não* vê", ["Ação", "você não vê"]),
    ],
)  # fmt: skip
def test_finds_text_block_by_block(source: str, texts: list[str]) -> None:
    assert list_texts(source, TextFormat.MARKDOWN) == texts


def test_a_line_break_keeps_the_prefix_of_the_next_line() -> None:
    source = "> one  \n> *two*\n"
    (block,) = parse_markup(source, TextFormat.MARKDOWN).blocks
    assert list_marks(block) == ["  \n> ", "*", "*"]
    assert block.marks[0].breaks_line
    assert translate(source, TextFormat.MARKDOWN, f"um{OBJECT}dois", [(2, 2)]) == "> um  \n> *dois*\n"


def test_text_on_the_next_line_stays_in_its_block_quotation() -> None:
    source = "> one  \n> two\n"
    assert translate(source, TextFormat.MARKDOWN, f"um{OBJECT}dois", []) == "> um  \n> dois\n"


def test_a_tag_does_not_pair_across_a_delimiter() -> None:
    (block,) = parse_markup("x *a <b>c* d</b> <i>e</i>", TextFormat.MARKDOWN).blocks
    assert list_marks(block) == ["*", "<b>", "*", "</b>", "<i>", "</i>"]
    assert [mark.partner for mark in block.marks] == [2, None, 0, None, 5, 4]
    (block,) = parse_markup("x <b>a *c</b> d* e", TextFormat.MARKDOWN).blocks
    assert [mark.partner for mark in block.marks] == [None, 3, None, 1]


@pytest.mark.parametrize(
    ("translation", "written"),
    [
        ("a * b_c 2 < 3 & d", "a * b_c 2 < 3 & d"),
        ("*a* _b_ `c` [d](e) ~~f~~", "\\*a\\* \\_b\\_ \\`c\\` \\[d\\](e) \\~\\~f\\~\\~"),
        ("<b> &amp; \\*", "\\<b> \\&amp; \\\\\\*"),
        ("# a", "\\# a"),
        ("1. a", "1\\. a"),
        ("- a", "\\- a"),
        ("-5", "-5"),
        ("> a", "\\> a"),
        ("---", "\\---"),
        ("a\nb\r\n\r\nc", "a b c"),
        ("C:\\dir", "C:\\dir"),
    ],
)
def test_translations_are_escaped(translation: str, written: str) -> None:
    assert translate("source", TextFormat.MARKDOWN, translation, []) == written


def test_text_behind_a_line_break_is_escaped_like_a_new_line() -> None:
    assert translate("a\\\nb", TextFormat.MARKDOWN, f"x{OBJECT}- y", []) == "x\\\n\\- y"


def test_a_vertical_bar_in_a_table_cell_is_escaped() -> None:
    source = "| a |\n|---|\n| b |\n"
    assert translate(source, TextFormat.MARKDOWN, "x|y", []) == "| x\\|y |\n|---|\n| b |\n"


@pytest.mark.parametrize(
    ("source", "written"), [("see [text] x", "ver [texto][text] x"), ("see [text][] x", "ver [texto][text] x")]
)
def test_a_reference_link_keeps_its_target(source: str, written: str) -> None:
    ending = "\n\n[text]: http://a.b\n"
    pairs = [(0, 0), (1, 1), (2, 2)]
    assert translate(source + ending, TextFormat.MARKDOWN, "ver texto x", pairs) == written + ending


def test_a_reference_link_that_is_a_whole_block_keeps_its_target() -> None:
    source = "- [one text][]\n- [two][]\n\n[one text]: a\n[two]: b\n"
    assert translate(source, TextFormat.MARKDOWN, "um texto", []).startswith("- [um texto][one text]\n- [two][]\n")


def test_an_exclamation_mark_before_a_link_is_escaped() -> None:
    assert translate("say [x](u)", TextFormat.MARKDOWN, "olá!x", [(0, 0), (1, 2)]) == "olá\\![x](u)"


def test_a_document_that_the_parser_fails_on_is_split_into_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    def fail(*_: object) -> None:
        raise Panic

    monkeypatch.setattr(markdown_module, "_read_events", fail)
    assert list_texts("one\ntwo\n\nthree", TextFormat.MARKDOWN) == ["one\ntwo", "three"]


def test_spans_of_lines_that_end_with_a_space_map_to_their_source() -> None:
    source = "Hello. The house is \nbig and > red \n*now*."
    (block,) = parse_markup(source, TextFormat.MARKDOWN).blocks
    assert block.text == "Hello. The house is big and > red now."
    for part in ("Hello.", "The house is", "big and > red", "now"):
        start = block.text.index(part)
        place = block.locate(TextSpan(start, start + len(part)))
        assert source[place.start : place.end] == part
