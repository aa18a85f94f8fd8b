"""Links the words of a source with the words of its translation, and maps spans of a text to a changed copy of it.

Backends derive links from a model's attention. Links decide where markup and protected spans go in a translation. Pure
functions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.core.spans import TextSpan


@dataclass(frozen=True)
class Link:
    """A span of the source, the span of the translation that renders it, and a score from 0 to 1.

    Spans are half-open, in code points. A link between several words, up to whole sentences, aligns the two groups but
    no single words.
    """

    source: TextSpan
    target: TextSpan
    score: float


def shift_link(link: Link, source: int, target: int) -> Link:
    """Returns a link with its spans moved right by `source` and by `target` code points."""
    return Link(
        TextSpan(link.source.start + source, link.source.end + source),
        TextSpan(link.target.start + target, link.target.end + target),
        link.score,
    )


# A part in which two versions of a text differ: its span in one version, and its span in the other.
Move = tuple[TextSpan, TextSpan]


def map_span(moves: Sequence[Move], span: TextSpan) -> TextSpan:
    """Returns the span of the new text that corresponds to a span of the old one.

    `moves`: the replaced parts as (span of the old text, span of the new text), ascending and disjoint. A span that
    overlaps a replaced part covers all of its replacement.
    """
    return TextSpan(_follow_start(moves, span.start), _follow_end(moves, span))


def _find_move(moves: Sequence[Move], position: int) -> int:
    """Returns the index of the last move whose first span begins at or before an offset, or -1."""
    return bisect_right(moves, position, key=lambda move: move[0].start) - 1


def _follow_start(moves: Sequence[Move], position: int) -> int:
    index = _find_move(moves, position)
    if index < 0:
        return position
    old, new = moves[index]
    return new.start if position < old.end else new.end + position - old.end


def _follow_end(moves: Sequence[Move], span: TextSpan) -> int:
    index = _find_move(moves, max(span.end - 1, span.start))
    if index < 0:
        return span.end
    old, new = moves[index]
    return new.end if span.end <= old.end else new.end + span.end - old.end


def split_link(link: Link, sources: Sequence[Move], targets: Sequence[Move]) -> list[Link]:
    """Returns a link cut in two if both of its spans begin in a replaced part and end behind it, else the link alone.

    `sources` and `targets`: the replaced parts of the link's source and of its translation, as the first spans of
    moves. An example is the token `1)` of `T-1)` where `T-1` was replaced.
    """
    source_parts, target_parts = _divide(sources, link.source), _divide(targets, link.target)
    if source_parts is None or target_parts is None:
        return [link]
    return [Link(source, target, link.score) for source, target in zip(source_parts, target_parts, strict=True)]


def _divide(moves: Sequence[Move], span: TextSpan) -> tuple[TextSpan, TextSpan] | None:
    """Returns a span cut at the end of the replaced part in which it begins; None if it does not begin in one.

    Also returns None if the span ends inside the replaced part. Replaced parts are the first spans of `moves`.
    """
    index = _find_move(moves, span.start)
    end = moves[index][0].end if index >= 0 else 0
    return (TextSpan(span.start, end), TextSpan(end, span.end)) if span.start < end < span.end else None
