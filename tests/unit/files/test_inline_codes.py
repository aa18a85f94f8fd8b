"""Inline elements as short tags of a unit."""

from __future__ import annotations

import pytest

from latimer.files.markup.inline_codes import Atom, CodedText, InlineNode, Run, Wrap, encode, keeps_codes, render


def bold(text: str) -> Run:
    return Run(text, "b")


def link(*nodes: InlineNode) -> Wrap:
    return Wrap(("<a>",), ("</a>",), nodes)


def coded(*nodes: InlineNode) -> CodedText:
    found = encode(nodes)
    assert found is not None
    return found


def rendered(text: CodedText, translation: str) -> str:
    parts = render(text.decode(translation), lambda words, style: (f"[{style}:{words}]" if style else words,))
    return "".join(part for part in parts if isinstance(part, str))


def test_a_text_of_one_style_is_plain() -> None:
    found = coded(bold("Salt & "), bold("pepper"))
    assert (found.form, found.text) == ("plain", "Salt & pepper")
    assert rendered(found, "Sal & pimenta") == "[b:Sal & pimenta]"


def test_the_style_of_most_of_the_text_has_no_tag() -> None:
    found = coded(Run("Click "), bold("Save"), Run(" to keep the file."))
    assert (found.form, found.text) == ("html", "Click <g1>Save</g1> to keep the file.")
    assert rendered(found, "Clique em <g1>Salvar</g1>.") == "Clique em [b:Salvar]."


def test_space_at_the_edge_of_a_style_is_outside_of_its_tag() -> None:
    assert (
        coded(Run("A fairly long text "), bold("in bold "), Run("here")).text
        == "A fairly long text <g1>in bold</g1> here"
    )


def test_space_and_marks_at_the_edges_stay_outside_of_the_unit() -> None:
    found = coded(Atom(("<mark/>",)), Run("  Text "), Atom(("<end/>",)))
    assert found.text == "Text"
    assert rendered(found, "Texto") == "<mark/>  Texto <end/>"


def test_an_element_around_the_whole_text_stays_outside_of_the_unit() -> None:
    found = coded(Atom(("<mark/>",)), link(Run("the "), bold("whole story")), Run(" "))
    assert found.text == "<g1>the</g1> whole story"
    assert rendered(found, "<g1>a</g1> história") == "<mark/><a>a[b: história]</a> "


def test_marks_breaks_and_words_that_stay_have_tags() -> None:
    found = coded(
        Run("One"), Atom(("<br/>",), "break"), Run("two "), Atom(("<code>ls</code>",), "text", "ls"), Run(" x")
    )
    assert found.text == 'One<br id="1"/>two <g2 translate="no">ls</g2> x'
    assert rendered(found, 'Um<br id="1"/>dois <g2 translate="no">ls</g2> x') == "Um<br/>dois <code>ls</code> x"


def test_a_text_without_letters_is_no_unit() -> None:
    assert encode([Run("12.5 %"), Atom(("<code>ls</code>",), "text", "ls")]) is None


SOURCE = coded(Run("See "), link(Run("the page")), Run(" and "), bold("act"), Atom(("<x/>",)), Run(" with care now."))


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("Aja <g2>já</g2><x3/> e veja <g1>a página</g1>.", "Aja [b:já]<x/> e veja <a>a página</a>."),
        ("Veja <g1>a página.", "Veja <a>a página.</a><x/>"),
        ("Veja a página</g1>.", "Veja a página.<a></a><x/>"),
        ("<g1>a <g2>b</g1> c</g2><x3/><x3/><x9/>", "<a>a [b:b]</a> c<x/>"),
        ("<g1>a</g1> <g1>b</g1><x3/>", "<a>a</a> b<x/>"),
        ("<g1/>a<x3/>", "<a></a>a<x/>"),
        ("5 < 6 & <b>7</b>", "5 < 6 & <b>7</b><a></a><x/>"),
        ("", "<a></a><x/>"),
    ],
)
def test_broken_tags_are_repaired_so_that_each_element_of_the_source_is_there_once(
    translation: str, expected: str
) -> None:
    assert rendered(SOURCE, translation) == expected


def test_an_element_does_not_move_into_another_one() -> None:
    found = coded(link(Run("one")), Run(" and "), Wrap(("<i>",), ("</i>",), (Run("two"),)))
    assert rendered(found, "<g1>um <g2>dois</g2></g1>") == "<a>um dois</a><i></i>"


def test_kept_tags_are_told_from_broken_ones() -> None:
    assert keeps_codes(SOURCE.text, "<g2>x</g2><x3/><g1>y</g1>")
    assert not keeps_codes(SOURCE.text, "<g2>x</g2><g1>y</g1>")
    assert not keeps_codes(SOURCE.text, "<g2>x<g1>y</g2></g1><x3/>")
    assert not keeps_codes(SOURCE.text, "<g2>x</g2><x3/></g1>y<g1>")
