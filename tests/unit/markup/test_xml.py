"""Tests of XML: blocks are found with any element names."""

from __future__ import annotations

import pytest

from latimer_server.text.markup import OBJECT, TextFormat, parse_markup
from tests.unit.markup.texts import list_marks, list_texts, translate


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("<a><b>One</b> <b>Two</b></a>", ["One", "Two"]),
        ("<s><t>One <e>two</e> three</t></s>", ["One two three"]),
        ("<t>One <e><f>two</f></e> three</t>", ["One two three"]),
        ("<t>Before <l>\n<i>one</i>\n<i>two</i>\n</l> after</t>", ["Before", "one", "two", "after"]),
        ("<t>Before <p>par</p> after</t>", ["Before", "par", "after"]),
        ("<t>&#169; &lt;x&gt; &own; end</t>", [f"© <x> {OBJECT} end"]),
        ("<t>a <![CDATA[<b>]]> c</t>", [f"a {OBJECT} c"]),
        ("<t>a <x/> c <?pi x?> d</t>", [f"a {OBJECT} c {OBJECT} d"]),
        ('<r><s name="x" translatable="false">no</s><s>yes</s></r>', ["yes"]),
        ('<t>a <e its:translate="no">no</e> c</t>', [f"a {OBJECT} c"]),
        ('<!DOCTYPE d [<!ENTITY e "<q>it</q>">]><d>x</d>', ["x"]),
        ("<t>never <e>closed", ["never closed"]),
        ("</t>text", ["text"]),
    ],
)
def test_finds_text_block_by_block(source: str, texts: list[str]) -> None:
    assert list_texts(source, TextFormat.XML) == texts


def test_ignored_names_are_case_sensitive() -> None:
    source = "<r><s>one</s><S>two</S></r>"
    assert list_texts(source, TextFormat.XML, ("S",)) == ["one"]


def test_an_element_without_end_tag_ends_with_its_parent() -> None:
    assert list_texts('<r><s translate="no">one</r>two', TextFormat.XML) == ["two"]


def test_translations_are_escaped() -> None:
    assert translate("<t>x</t>", TextFormat.XML, "a & <b> ]]>", []) == "<t>a &amp; &lt;b> ]]&gt;</t>"


def test_inline_tags_pair() -> None:
    (block,) = parse_markup("<t>a <e k='>'>b</e> c</t>", TextFormat.XML).blocks
    assert list_marks(block) == ["<e k='>'>", "</e>"]
    assert [mark.partner for mark in block.marks] == [1, 0]
