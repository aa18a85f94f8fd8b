"""Property tests of markup: these invariants hold for any text, even with broken markup."""

from __future__ import annotations

import random
import re
import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.markup import (
    OBJECT,
    Block,
    MarkKind,
    PlacedBlock,
    TextFormat,
    parse_markup,
    place_marks,
    render,
)
from tests.unit.markup.texts import HARD_TEXTS, SOUP, find_atoms, list_words

_FORMATS = st.sampled_from(TextFormat)


@given(SOUP, _FORMATS)
def test_unchanged_blocks_give_the_source_again(source: str, text_format: TextFormat) -> None:
    document = parse_markup(source, text_format)
    texts = [place_marks(block, block.text, find_atoms(block.text), None).text for block in document.blocks]
    rebuilt = render(document, texts)
    assert rebuilt.text == source
    assert rebuilt.spans == tuple(block.span for block in document.blocks)


@given(SOUP, _FORMATS)
def test_blocks_do_not_overlap_and_are_in_order(source: str, text_format: TextFormat) -> None:
    blocks = parse_markup(source, text_format).blocks
    edges = [edge for block in blocks for edge in (block.span.start, block.span.end)]
    assert edges == sorted(edges)
    for block in blocks:
        assert block.text.strip()
        assert source[block.span.start : block.span.end] == block.source
        assert [block.text[mark.offset] for mark in block.atoms] == [OBJECT] * block.text.count(OBJECT)
        assert all(block.locate(TextSpan(mark.offset, mark.offset + 1)) == mark.source for mark in block.atoms)
        for number, mark in enumerate(block.marks):
            assert mark.partner is None or block.marks[mark.partner].partner == number


@given(SOUP, _FORMATS, st.randoms(use_true_random=False), st.booleans())
def test_every_mark_is_in_the_output_exactly_once(
    source: str, text_format: TextFormat, chance: random.Random, linked: bool
) -> None:
    for block in parse_markup(source, text_format).blocks:
        translation, atoms, links = _shuffle(block, chance)
        placed = place_marks(block, translation, atoms, links if linked else None, copy=False)
        # A translation without special characters is not escaped, so everything outside its text is marks.
        _check_marks(block, placed, translation, atoms)


def _shuffle(block: Block, chance: random.Random) -> tuple[str, list[TextSpan], list[Link]]:
    """Shuffles the words of a block, without characters that a format escapes, and links some at random."""
    words = [re.sub(r"[^\w\s\ufffc.,]|_", "", word) for word in block.text.split(" ")]
    chance.shuffle(words)
    translation = " ".join(words).replace("\r", "").replace("\n", "")
    atoms = find_atoms(translation)
    chance.shuffle(atoms)
    theirs = list_words(translation)
    links = [Link(word, chance.choice(theirs), chance.random()) for word in list_words(block.text) if theirs]
    return translation, atoms, [link for link in links if chance.random() < 0.8]


def _check_marks(block: Block, placed: PlacedBlock, translation: str, atoms: list[TextSpan]) -> None:
    for mark, atom in zip(block.atoms, atoms, strict=True):
        span = placed.locate(atom)
        assert placed.text[span.start : span.end] == mark.written
    # The other marks stand between the pieces, correctly nested.
    position = 0
    between = ""
    for run in placed.runs:
        between += placed.text[position : run.other_start]
        position = run.other_end
    between += placed.text[position:]
    tags = [mark for mark in block.marks if mark.kind is not MarkKind.ATOM]
    assert sorted(between) == sorted("".join(mark.written for mark in tags))
    assert _nests(block, between)
    assert sum(run.end - run.start for run in placed.runs) == len(translation)


def _nests(block: Block, written: str) -> bool:
    """True if `written` consists of the block's marks without atoms, each once and correctly nested."""
    left = [number for number, mark in enumerate(block.marks) if mark.kind is not MarkKind.ATOM]
    opened: list[int] = []
    while left:
        # Several marks may be written alike; any one that may stand here is right.
        fitting = [number for number in left if written.startswith(block.marks[number].written)]
        closing = [
            n for n in fitting if block.marks[n].kind is MarkKind.CLOSE and block.marks[n].partner in opened[-1:]
        ]
        others = [n for n in fitting if block.marks[n].kind is MarkKind.OPEN or block.marks[n].partner is None]
        chosen = max(closing + others, key=lambda n: len(block.marks[n].written), default=None)
        if chosen is None:
            return False
        mark = block.marks[chosen]
        if mark.partner is not None and mark.kind is MarkKind.OPEN:
            opened.append(chosen)
        elif mark.partner is not None:
            opened.pop()
        left.remove(chosen)
        written = written[len(mark.written) :]
    return not opened and not written


@given(st.lists(st.sampled_from(["red", "house", "not", "<b>", "</b>", "<i>", "</i>", "<br>", "."]), max_size=25))
def test_words_that_are_linked_to_themselves_keep_their_tags(parts: list[str]) -> None:
    for block in parse_markup(" ".join(parts), TextFormat.HTML).blocks:
        links = [Link(span, span, 1.0) for span in list_words(block.text)]
        placed = place_marks(block, block.text, find_atoms(block.text), links, copy=False)
        assert _words_in_pairs(placed.text) == _words_in_pairs(block.source)


def _words_in_pairs(html: str) -> list[tuple[str, int, int]]:
    """Returns each word with the numbers of tags opened and closed before it, without pairs that contain no word."""
    while (shorter := re.sub(r"<(b|i)>[\s.]*</\1>|<(?:b|i)>[\s.]*\Z|\A[\s.]*</(?:b|i)>", " ", html)) != html:
        html = shorter
    found: list[tuple[str, int, int]] = []
    opened = closed = 0
    for part in re.findall(r"</?\w+>|\w+", html):
        if part in ("<b>", "<i>"):
            opened += 1
        elif part in ("</b>", "</i>"):
            closed += 1
        elif part != "<br>":
            found.append((part, opened, closed))
    return found


@pytest.mark.parametrize("text_format", TextFormat)
@pytest.mark.parametrize("kind", HARD_TEXTS)
def test_hard_texts_of_20_kb_are_put_back_exactly(kind: str, text_format: TextFormat) -> None:
    """`benchmarks.micro.markup_growth` prints how the time of these texts grows with their length."""
    source = (HARD_TEXTS[kind] * 20_000)[:20_000]
    document = parse_markup(source, text_format)
    assert render(document, [block.source for block in document.blocks]).text == source


@pytest.mark.parametrize("text_format", TextFormat)
@pytest.mark.parametrize("kind", HARD_TEXTS)
def test_work_grows_linearly_with_the_text(kind: str, text_format: TextFormat) -> None:
    small, large = (_count_calls((HARD_TEXTS[kind] * size)[:size], text_format) for size in (1_000, 4_000))
    assert large < 6 * small + 2_000


def _count_calls(source: str, text_format: TextFormat) -> int:
    """Counts the function calls that find, place and write all blocks of a text."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        document = parse_markup(source, text_format)
        for block in document.blocks:
            atoms = find_atoms(block.text)
            words = list_words(block.text)
            links = [Link(word, word, 1.0) for word in words[::2]]
            place_marks(block, block.text, atoms, links, copy=False)
            place_marks(block, block.text, atoms, None, copy=False)
            place_marks(block, block.text, atoms, [], copy=False)
    finally:
        sys.setprofile(None)
    return calls


def test_pairs_a_thousand_deep_are_exact() -> None:
    source = "<p>" + "<b>a <i>" * 1_000 + "deep" + "</i></b> z" * 1_000
    (block,) = parse_markup(source, TextFormat.HTML).blocks
    words = list_words(block.text)
    links = [Link(word, word, 1.0) for word in words]
    placed = place_marks(block, block.text, [], links, copy=False)
    marks = re.findall("<[^>]*>", placed.text)
    assert marks == re.findall("<[^>]*>", block.source)
