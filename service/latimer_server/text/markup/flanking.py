"""Moves delimiters of emphasis in Markdown to places where they open or close emphasis.

Whether `*` or `_` does so depends on the characters around it: CommonMark 0.31, section 6.2, left- and right-flanking
delimiter runs. A translation has other neighbours than the source. Pure functions.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup.document import OBJECT, Block, Mark, MarkKind, TextFormat

_DELIMITERS = frozenset("*_~")
# The most delimiters in a row that are read as one run; more of them would take quadratic time.
_LONGEST_RUN = 8


def move_delimiters(
    block: Block, translation: str, insertions: Sequence[tuple[int, int]], whole: Sequence[TextSpan] = ()
) -> tuple[list[tuple[int, int]], bool]:
    """Returns `insertions` with each delimiter of emphasis at a place where it counts as one, as far as there is one.

    `insertions`: (offset in the translation, index among the block's marks) of each mark that is no atom, in the order
    of writing. `whole`: spans of the translation inside which no mark may stand. White space beside the wrapped words
    goes out of the pair. If punctuation is at the edge of a pair and a letter outside, the pair takes in the rest of
    that word; the second value is True then.
    """
    placed = list(insertions)
    if block.format is not TextFormat.MARKDOWN:
        return placed, False
    spans = sorted(whole, key=lambda span: span.start)
    moved = False
    for number, (offset, index) in enumerate(insertions):
        mark = block.marks[index]
        if mark.kind is MarkKind.ATOM or not _is_delimiter(mark):
            continue
        before = placed[number - 1][0] if number else 0
        after = placed[number + 1][0] if number + 1 < len(placed) else len(translation)
        at, opens = offset, mark.kind is MarkKind.OPEN
        while opens and at < after and translation[at].isspace():
            at += 1
        while not opens and at > before and translation[at - 1].isspace():
            at -= 1
        placed[number] = at, index
        limit, step = (before, -1) if opens else (after, 1)
        edge = _leave_span(_find_word_edge(block, translation, placed, number, limit, step), at, spans)
        moved = moved or edge != at
        placed[number] = edge, index
    return placed, moved


def _find_word_edge(
    block: Block, translation: str, placed: Sequence[tuple[int, int]], number: int, limit: int, step: int
) -> int:
    """Returns the offset at which a delimiter has no letter outside, if it needs that, but not past `limit`.

    `step`: -1 for an opening delimiter, whose outside is before it, and 1 for a closing one.
    """
    offset, index = placed[number]
    outside = _read_neighbour(block, translation, placed, number, step)
    inside = _read_neighbour(block, translation, placed, number, -step)
    if not _is_word(outside) or (block.marks[index].written[0] != "_" and not _is_punctuation(inside)):
        return offset
    while offset != limit and _is_word(translation[offset - 1 if step < 0 else offset]):
        offset += step
    return offset


def _leave_span(offset: int, before: int, spans: Sequence[TextSpan]) -> int:
    """Returns an offset, or the one `before` it was moved if it is inside one of the ascending `spans` now."""
    number = bisect_right(spans, offset, key=lambda span: span.start) - 1
    is_inside = number >= 0 and spans[number].start < offset < spans[number].end
    return before if is_inside else offset


def _read_neighbour(block: Block, translation: str, placed: Sequence[tuple[int, int]], number: int, step: int) -> str:
    """Returns the character before (`step` -1) or behind (1) the run of equal delimiters of a mark; "" at an edge."""
    offset, index = placed[number]
    sign = block.marks[index].written[0]
    other = number + step
    while abs(other - number) <= _LONGEST_RUN and 0 <= other < len(placed) and placed[other][0] == offset:
        text = block.marks[placed[other][1]].written
        if text[0] != sign or text[-1] != sign:
            return text[-1] if step < 0 else text[0]
        other += step
    place = offset - 1 if step < 0 else offset
    return translation[place] if 0 <= place < len(translation) else ""


def _is_delimiter(mark: Mark) -> bool:
    return bool(mark.written) and mark.partner is not None and set(mark.written) <= _DELIMITERS


def _is_word(character: str) -> bool:
    return bool(character) and not character.isspace() and not _is_punctuation(character)


def _is_punctuation(character: str) -> bool:
    """True for punctuation and symbols (Unicode P and S), and for objects, which begin and end with such."""
    return bool(character) and (character == OBJECT or unicodedata.category(character)[0] in "PS")
