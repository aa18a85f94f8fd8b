"""Tests of tag placement: tags wrap the words that are aligned to the words they wrapped in the source."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.markup import OBJECT, TextFormat, parse_markup, place_marks
from tests.unit.markup.texts import find_atoms, link_words, translate

_HTML = TextFormat.HTML


@pytest.mark.parametrize(
    ("source", "translation", "pairs", "written"),
    [
        ("<b>red</b> house", "casa vermelha", [(0, 1), (1, 0)], "casa <b>vermelha</b>"),
        ("I do <b>not</b> eat", "Je ne mange pas", [(0, 0), (2, 1), (3, 2), (2, 3)], "Je <b>ne mange pas</b>"),
        (
            "a <b>big</b> <i>red</i> house", "uma casa vermelha grande", [(0, 0), (1, 3), (2, 2), (3, 1)],
            "uma casa <i>vermelha</i> <b>grande</b>",
        ),
        (
            "a <b>big <i>red</i></b> house.", "uma casa vermelha grande.", [(0, 0), (1, 3), (2, 2), (3, 1), (4, 4)],
            "uma casa <b><i>vermelha</i> grande</b>.",
        ),
        ("see <a>here</a>, now", "veja aqui, agora", [(0, 0), (1, 1), (3, 3)], "veja <a>aqui</a>, agora"),
        ("<b>Note:</b> do", "Nota: faça", [(0, 0), (2, 2)], "<b>Nota:</b> faça"),
        ("(<b>one</b>) “<i>two</i>”", "(um) «dois»", [(1, 1), (4, 4)], "(<b>um</b>) «<i>dois</i>»"),
        ("<i>“two”</i> it is", "é «dois»", [(1, 2), (3, 0), (4, 0)], "é <i>«dois»</i>"),
        ("one<b> two</b>", "um dois", [(0, 0), (1, 1)], "um<b> dois</b>"),
        ("word <a><img></a> end", f"{OBJECT} fim", [], "<a><img></a> fim"),
        ("one<a name=x></a> two", "um dois", [(0, 0), (1, 1)], "um<a name=x></a> dois"),
        ("one <a name=x></a>two", "um dois", [(0, 0), (1, 1)], "um <a name=x></a>dois"),
        ("红<b>房</b>子", "红房子", [(0, 0), (1, 1), (2, 2)], "红<b>房</b>子"),
        ("<a>pip</a>'s <b>H</b>TML", "HTML do pip", [(0, 2), (3, 0)], "<b>H</b>TML do <a>pip</a>"),
        ("<i>“<b>x</b>”</i>”", "“y””", [(0, 0), (1, 1), (2, 2), (3, 3)], "<i>“<b>y</b>”</i>”"),
        ("a <b>c</b></i> d", "x y z", [(0, 0), (1, 1), (2, 2)], "x <b>y</b></i> z"),
    ],
)  # fmt: skip
def test_pairs_follow_the_links(source: str, translation: str, pairs: list[tuple[int, int]], written: str) -> None:
    assert translate(source, _HTML, translation, pairs) == written


def test_a_pair_ignores_an_outlier_and_does_not_cross_another_pair() -> None:
    far = [(0, 0), (1, 1), (1, 2), (2, 3), (2, 4), (2, 5), (2, 6), (1, 7)]
    assert translate("a <b>c</b> d", _HTML, "a c c d d d d c", far) == "a <b>c c</b> d d d d c"
    crossed = [(0, 0), (1, 1), (0, 2), (0, 3)]
    assert translate("<b>x</b> <i>y</i>", _HTML, "x y x x", crossed) == "x <i>y</i> <b>x x</b>"


@pytest.mark.parametrize(
    ("source", "translation", "pairs", "written"),
    [
        ("see <b>the</b> cat", "veja o gato", [(0, 0), (2, 2)], "veja <b>o</b> gato"),
        ("see <b>the</b> cat", "veja gato", [(0, 0), (2, 1)], "veja <b>gato</b>"),
        ("<b>one</b> two", "", [], "<b></b>"),
    ],
)
def test_a_pair_without_links_stays_between_its_neighbours(
    source: str, translation: str, pairs: list[tuple[int, int]], written: str
) -> None:
    (block,) = parse_markup(source, _HTML).blocks
    placed = place_marks(block, translation, [], link_words(block.text, translation, pairs))
    assert placed.text == written
    assert placed.repaired


@pytest.mark.parametrize(
    ("source", "translation", "written", "repaired"),
    [
        ("<b>Hello</b>.", "Olá.", "<b>Olá</b>.", False),
        ("<a>Click</a>", "Clique aqui", "Clique aqui", False),
        ("Click <a>here</a> now", "Clique aqui agora", "<a>Clique aqui agora</a>", True),
        ("<a>Click</a> or <b>go</b>!", "Clique ou vá!", "<a>Clique ou</a> <b>vá</b>!", True),
        ("a <br> b", f"x {OBJECT} y", "x <br> y", False),
        ("a <b><code>c</code></b> d", f"{OBJECT} x y", "<b><code>c</code></b> x y", False),
    ],
)
def test_without_links_tags_wrap_the_whole_block(source: str, translation: str, written: str, repaired: bool) -> None:
    document = parse_markup(f"<p>{source}</p>", _HTML)
    (block,) = document.blocks
    placed = place_marks(block, translation, find_atoms(translation), None)
    assert (document.source[3 : block.span.start] + placed.text).removesuffix("</p>") in (written, "<a>" + written)
    assert placed.repaired is repaired


def test_a_link_of_whole_sentences_keeps_pairs_of_whole_sentences() -> None:
    (block,) = parse_markup("<b>One two.</b> Three four.", _HTML).blocks
    links = [Link(TextSpan(0, 8), TextSpan(0, 8), 1.0), Link(TextSpan(9, 20), TextSpan(9, 21), 1.0)]
    assert place_marks(block, "Um dois. Três quatro.", [], links).text == "<b>Um dois.</b> Três quatro."


def test_spans_of_the_translation_map_to_spans_of_the_output() -> None:
    (block,) = parse_markup("<p>x & <b>red</b> <code>c</code>", _HTML).blocks
    translation = f"<é> {OBJECT} vermelha"
    placed = place_marks(block, translation, [TextSpan(4, 5)], link_words(block.text, translation, [(2, 4)]))
    assert placed.text == "&lt;é> <code>c</code> <b>vermelha</b>"
    spans = [placed.locate(TextSpan(*span)) for span in ((0, 1), (0, 3), (4, 5), (6, 14), (3, 8))]
    assert [placed.text[span.start : span.end] for span in spans] == [
        "&lt;", "&lt;é>", "<code>c</code>", "vermelha", " <code>c</code> <b>ve",
    ]  # fmt: skip


def test_no_mark_stands_inside_a_span_that_stays_whole() -> None:
    (block,) = parse_markup("<b>one two</b> <i>three</i> {{a-b}} https://a.b/c-d", _HTML).blocks
    translation = "{{a-b}} https://a.b/c-d um"
    for links in (None, [Link(TextSpan(0, len(block.text)), TextSpan(0, len(translation)), 1.0)]):
        placed = place_marks(
            block,
            translation,
            [],
            links,
            whole=[(TextSpan(22, 37), TextSpan(8, 23)), (TextSpan(14, 21), TextSpan(0, 7))],
        )
        assert "{{a-b}}" in placed.text
        assert "https://a.b/c-d" in placed.text


def test_a_span_that_stays_whole_follows_its_link() -> None:
    (block,) = parse_markup("open <b>{{a-b}}</b> now", _HTML).blocks
    translation = "agora abra {{a-b}}"
    links = [Link(TextSpan(0, 4), TextSpan(6, 10), 1.0), Link(TextSpan(5, 12), TextSpan(11, 18), 1.0)]
    placed = place_marks(block, translation, [], links, whole=[(TextSpan(5, 12), TextSpan(11, 18))])
    assert placed.text == "agora abra <b>{{a-b}}</b>"


def test_atoms_may_change_places() -> None:
    (block,) = parse_markup("a <code>1</code> b <code>2</code> c", _HTML).blocks
    translation = f"{OBJECT} x {OBJECT}"
    placed = place_marks(block, translation, find_atoms(translation)[::-1], [])
    assert placed.text == "<code>2</code> x <code>1</code>"


def test_each_atom_must_have_a_place() -> None:
    (block,) = parse_markup("a <br> b", _HTML).blocks
    with pytest.raises(ValueError, match="expected 1 atoms, got 0"):
        place_marks(block, "x", [], None)


def place_equal(source: str, translation: str, text_format: TextFormat, links: Sequence[tuple[int, int]] = ()) -> str:
    """Places the marks of a block; `links` are between the words by number. Equal emoji and addresses are whole."""
    (block,) = parse_markup(source, text_format).blocks
    whole = [
        (TextSpan(*match.span()), TextSpan(at, at + len(match.group())))
        for match in re.finditer(r"[→♥😀©]|\w+@[\w.]+", block.text)
        if (at := translation.find(match.group())) >= 0
    ]
    return place_marks(block, translation, [], link_words(block.text, translation, links), whole=whole).text


@pytest.mark.parametrize(
    ("source", "translation", "written"),
    [
        ("Click <a>→</a> to open", "Clique → para abrir", "Clique <a>→</a> para abrir"),
        ("I <i>♥</i> it", "Eu ♥ isso", "Eu <i>♥</i> isso"),
        ("a <b>+</b> b", "x + y", "x <b>+</b> y"),
        ("note<u>1</u> and<u>2</u>", "nota1 e2", "nota<u>1</u> e<u>2</u>"),
    ],
)
def test_a_pair_around_a_sign_number_or_emoji_keeps_it(source: str, translation: str, written: str) -> None:
    assert place_equal(source, translation, _HTML, [(0, 0)]) == written


@pytest.mark.parametrize(
    ("source", "translation", "links", "written"),
    [
        ("CO<u>2</u> levels", "Níveis de CO2", [(0, 2), (0, 1), (1, 0)], "Níveis de CO<u>2</u>"),
        ("10<u>−3</u> kg", "10-3 kg", [(0, 0), (2, 2), (3, 3)], "10<u>-3</u> kg"),
        ("see <a>ana@b.org</a> now", "veja o ana@b.org já", [(0, 0), (1, 1)], "veja o <a>ana@b.org</a> já"),
    ],
)
def test_a_pair_around_a_number_or_address_takes_no_words(
    source: str, translation: str, links: list[tuple[int, int]], written: str
) -> None:
    assert place_equal(source, translation, _HTML, links) == written


def test_a_letter_behind_the_tag_of_an_address_stays_outside() -> None:
    (block,) = parse_markup("to <i>ana@b.org</i>s now", _HTML).blocks
    whole = [(TextSpan(3, 12), TextSpan(5, 14)), (TextSpan(12, 13), TextSpan(14, 15))]
    assert place_marks(block, "para ana@b.orgs agora", [], [], whole=whole).text == "para <i>ana@b.org</i>s agora"


def test_single_marks_keep_their_order() -> None:
    blocks = parse_markup("<b>a <i>b<div>c</div>one two</i> three</b> four", _HTML).blocks
    block = blocks[-1]
    placed = place_marks(
        block,
        "quatro tres um dois",
        [],
        link_words(block.text, "quatro tres um dois", [(0, 2), (1, 3), (2, 1), (3, 0)]),
    )
    assert placed.text.index("</i>") < placed.text.index("</b>")


@pytest.mark.parametrize(
    ("source", "translation", "links", "written"),
    [
        (r"The **\*** house", "A casa *", [(1, 1)], r"A casa **\***"),
        (r"**C:\\** is", "C:\\ é", [(0, 0)], r"**C:\\** é"),
        (r"**Water \*** is *x*", "Água * é x", [(0, 0), (1, 1), (3, 3)], r"**Água \*** é *x*"),
        ("I **😀** it", "Eu 😀 isso", [], "Eu **😀** isso"),
        ("the **team?** now", "o time? agora", [(1, 1)], "o **time?** agora"),
        ("at **C++** now", "em C++ agora", [(0, 0), (2, 2)], "em **C++** agora"),
        ("_a_ b", "x y", [(0, 0)], "_x_ y"),
        ("a [^1] b", "x [^1] y", [], "x [^1] y"),
        (r"a \[b\] c", "x [y] z", [], r"x \[y\] z"),
    ],
)
def test_delimiters_of_markdown_stay_delimiters(
    source: str, translation: str, links: list[tuple[int, int]], written: str
) -> None:
    assert place_equal(source, translation, TextFormat.MARKDOWN, links) == written


def test_thousands_of_delimiters_at_one_place_take_linear_time() -> None:
    (block,) = parse_markup("**a** " * 30_000, TextFormat.MARKDOWN).blocks
    placed = place_marks(block, block.text.upper(), [], [])  # took minutes when each was compared with all others
    assert placed.text.count("**") == 60_000


def test_a_sign_at_the_edge_of_a_wrapped_block_is_escaped() -> None:
    assert translate(r"**Water \***", TextFormat.MARKDOWN, "Água *", [(0, 0)]) == r"**Água \***"
