"""Texts with valid and broken markup, and a translation loop for tests."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.markup import OBJECT, Block, TextFormat, parse_markup, place_marks, render
from latimer_server.text.markup.nesting import split_text

PARTS = [
    "<b>", "</b>", '<i class="x">', "</i>", '<a href="u>v">', "</a>", "<br>", "<br/>", "<code>", "</code>", "<p>",
    "</p>", "<div>", "</div>", "<!-- c -->", "<!--", "-->", "<?pi?>", "<![CDATA[x]]>", "<!DOCTYPE x [", "<script>",
    "</script>", "<title>", "<pre>", "</pre>", '<span translate="no">', "</span>", "<img src=x>", "&amp;", "&lt;",
    "&nbsp;", "&eacute", "&#65;", "&#xfffc;", "&#99999999999;", "&foo;", "<", ">", "&", "*", "**", "_", "__", "`",
    "``", "[", "](u)", "[x]", "[a]: b\n", "![", "!", "\\", "\n", "\n\n", "  \n", "> ", "- ", "1. ", "# ", "|",
    "|-|-|\n", "~~", "~", "---\n", "+++\n", "```\n", "    ", "\t", "word", "red", "house", "e.g. ", "ção", "中文",
    OBJECT, "\u200b", "👍", "é", " ", ".", ",", '"', "'", "=", "/", "x=", "\r\n", "\0", "{#id}", "[^1]", "</",
    "<http://a.b>", '<x:y its:translate="no">', "</x:y>", "<li>", "<ul>\n", "\ufeff", "\u2028", "\ud800", "[ ] ",
]  # fmt: skip
SOUP = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PARTS), max_size=40).map("".join))


def list_words(text: str) -> list[TextSpan]:
    """Returns the spans of the words, signs and atoms of a text."""
    return [TextSpan(token.start, token.end) for token in split_text(text)]


def find_atoms(translation: str) -> list[TextSpan]:
    """Returns the spans of the atoms in a translation that keeps their order."""
    return [TextSpan(place, place + 1) for place, character in enumerate(translation) if character == OBJECT]


def link_words(source: str, translation: str, pairs: Iterable[tuple[int, int]]) -> list[Link]:
    """Returns links between words, given by their numbers."""
    ours, theirs = list_words(source), list_words(translation)
    return [Link(ours[one], theirs[other], 0.9) for one, other in pairs]


def translate(
    source: str,
    text_format: TextFormat,
    translation: str,
    pairs: Iterable[tuple[int, int]] | None,
    *,
    ignore_tags: tuple[str, ...] = (),
) -> str:
    """Returns a document with its first block translated and its words linked by number; other blocks are kept."""
    document = parse_markup(source, text_format, ignore_tags)
    block = document.blocks[0]
    links = None if pairs is None else link_words(block.text, translation, pairs)
    placed = place_marks(block, translation, find_atoms(translation), links)
    return render(document, [placed.text, *(other.source for other in document.blocks[1:])]).text


def list_texts(source: str, text_format: TextFormat, ignore_tags: tuple[str, ...] = ()) -> list[str]:
    """Returns the texts of the blocks of a document."""
    return [block.text for block in parse_markup(source, text_format, ignore_tags).blocks]


def list_marks(block: Block) -> list[str]:
    """Returns the marks of a block as they are written."""
    return [mark.written for mark in block.marks]


# Repeated, each of these makes some parsers quadratic (docs/decisions).
HARD_TEXTS = {
    "nested": "<b>",
    "nested with words": "<b>a ",
    "pairs": "<b>a</b> ",
    "pairs of signs": "<b>+</b> a ",
    "numbers": "x<sup>1</sup> ",
    "menus": "<a>a b</a> | ",
    "adjacent": "<a>a b</a>",
    "ends": "</b>a ",
    "crossed": "<i>a<b>b</i>c</b>",
    "one word": "a",
    "less": "<",
    "ampersands": "&",
    "attributes": "<a x ",
    "quotes": '<a b="',
    "quoted ends": '<a x=">" ',
    "comments": "<!--",
    "sections": "<![CDATA[",
    "types": "<!DOCTYPE [",
    "declarations": "<?",
    "code": "<code>a",
    "untouched": '<span translate="no">a',
    "scripts": "<script>",
    "paragraphs": "<p>a",
    "breaks": "a<br>",
    "stars": "*a ",
    "strong": "**a** ",
    "crossed emphasis": "_a __b ",
    "brackets": "[",
    "links": "[a](b) ",
    "open links": "[a](",
    "quotations": "> ",
    "lists": "- ",
    "ticks": "`a",
    "digits": "&#1111111111",
    "objects": OBJECT,
}
