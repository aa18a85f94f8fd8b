"""Boundaries inside a block of markup: where its tags divide texts that are no sentence together. Pure functions."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup import Block, Mark, MarkKind

# How the marks of links begin in HTML and XML, and in Markdown.
_LINKS = ("<a ", "<a>", "<A ", "<A>", "[")

_NAME = re.compile(r"</?([A-Za-z][\w-]*+)")
_LONGEST_LABEL = 32
_LAST_WORD, _FIRST_WORD = re.compile(r"(?<!\w)[^\W\d_]{4,31}$"), re.compile(r"[^\W\d_]{5,31}(?!\w)")
_PARTS = frozenset(("a", "abbr", "cite", "data", "label", "output", "q", "small", "span", "time"))


def find_glued(block: Block) -> Iterator[int]:
    """Yields the offsets of a block's tags and delimiters that have no white space beside them, in its text."""
    text, last = block.text, 0
    for mark in block.marks:
        at = mark.offset
        if mark.kind is not MarkKind.ATOM and last < at < len(text):
            if not text[at - 1].isspace() and not text[at].isspace():
                yield at
            last = at


def find_adjacent(block: Block) -> list[int]:
    """Returns the offsets in a block's text where an element ends a text or begins another one.

    A small letter is before the edge and a capital behind it, as in `<span>New books</span><span>Contact</span>` and
    `Email<span>Required</span>`. Unless the sentence ends there, a model reads `booksContact`. Between other letters a
    word may go on, because editors divide text at any place; elements of emphasis also mark a part of a word, as in
    `<b>Java</b>Script`, so that they count only if another element is at the same place.
    """
    text = block.text
    edges: set[int] = set()
    for number, mark in enumerate(block.marks):
        at = mark.offset
        if mark.kind is MarkKind.ATOM or not _wraps_text(block, mark):
            continue
        if not text[at - 1 : at].islower() or not text[at : at + 1].isupper():
            continue
        before = block.marks[number - 1] if number else None
        is_between = (
            before is not None
            and before.offset == at
            and before.kind is MarkKind.CLOSE
            and mark.kind is MarkKind.OPEN
            and _wraps_text(block, before)
        )
        if is_between or _is_part(mark) or _ends_label(block, mark):
            edges.add(at)
    return sorted(edges)


def _ends_label(block: Block, mark: Mark) -> bool:
    """Returns True if a tag opens an element with the last words of a block, as in `Email<b>Required</b>`.

    The words on both sides are longer than those of most names with a capital inside, such as `You<em>Tube</em>`.
    """
    if mark.kind is not MarkKind.OPEN or mark.partner is None or _NAME.match(mark.written) is None:
        return False
    if block.marks[mark.partner].offset != len(block.text.rstrip()):
        return False
    word = _LAST_WORD.search(block.text[max(0, mark.offset - _LONGEST_LABEL) : mark.offset])
    behind = _FIRST_WORD.match(block.text, mark.offset)
    return word is not None and behind is not None


def _is_part(mark: Mark) -> bool:
    """Returns True if a mark is a tag of an element that has a text by itself, and is no emphasis of letters."""
    name = _NAME.match(mark.written)
    return name is not None and name[1].lower() in _PARTS


def find_link_edges(block: Block) -> list[int]:
    """Returns the offsets of the links of a block that has nothing but signs between them: each is a text by itself."""
    links = list(_list_links(block))
    edges = [0, *(edge for link in links for edge in (link.start, link.end)), len(block.text)]
    outside = [block.text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    if len(links) < 2 or any(character.isalnum() for part in outside for character in part):
        return []
    return edges[1:-1]


def keep_spans(text: str, cuts: Sequence[int], spans: Sequence[TextSpan]) -> list[int]:
    """Returns the offsets `cuts` that are not inside an address, placeholder or other protected span.

    A span of letters and digits only is no reason to leave out a cut: `booksContact` was taken for an identifier.
    """
    kept = [span for span in spans if not text[span.start : span.end].isalnum()]
    starts = [span.start for span in kept]
    return [cut for cut in cuts if (number := bisect_left(starts, cut) - 1) < 0 or kept[number].end <= cut]


def _wraps_text(block: Block, mark: Mark) -> bool:
    return mark.partner is None or block.marks[mark.partner].offset != mark.offset


def _list_links(block: Block) -> Iterator[TextSpan]:
    """Yields the spans of the links in a block's text that are inside no other pair of marks."""
    end = -1
    for mark in block.marks:
        if mark.kind is MarkKind.OPEN and mark.partner is not None and mark.offset >= end:
            partner: Mark = block.marks[mark.partner]
            end = partner.offset
            if mark.written.startswith(_LINKS):
                yield TextSpan(mark.offset, end)


def split_spans(text: str, spans: Sequence[TextSpan], cuts: Sequence[int]) -> Iterator[TextSpan]:
    """Yields the spans divided at the offsets `cuts`, without white space at new edges and without parts of signs."""
    for span in spans:
        inside = cuts[bisect_right(cuts, span.start) : bisect_left(cuts, span.end)]
        if not inside:
            yield span
            continue
        for start, end in pairwise([span.start, *inside, span.end]):
            part = text[start:end]
            if any(character.isalnum() for character in part):
                yield TextSpan(start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip()))
