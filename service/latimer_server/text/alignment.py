"""Links: which words of a translation answer which words of its source.

Where they come from (a model's attention) and what they are used for (markup, protection) is known elsewhere; pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.core.spans import TextSpan


@dataclass(frozen=True)
class Link:
    """A range of the source that a range of the translation answers, and how sure that is (0 to 1).

    Code points, half-open. A range of several words, up to a whole sentence, says only that the words
    in it answer the words of the other together.
    """

    source: TextSpan
    target: TextSpan
    score: float


def shift_link(link: Link, source: int, target: int) -> Link:
    """The same link between longer texts, in which its own start at `source` and at `target`."""
    return Link(
        TextSpan(link.source.start + source, link.source.end + source),
        TextSpan(link.target.start + target, link.target.end + target),
        link.score,
    )


# A range of a text, and the range of another text that took its place.
Move = tuple[TextSpan, TextSpan]


def map_span(moves: Sequence[Move], span: TextSpan) -> TextSpan:
    """Where a range stands in the other text. `moves`: what was replaced, ascending, disjoint; a range that touches
    what was replaced takes all of that."""
    return TextSpan(_follow_start(moves, span.start), _follow_end(moves, span))


def _find(moves: Sequence[Move], position: int) -> int:
    """The last move that begins at or before a position; -1 where there is none."""
    return bisect_right(moves, position, key=lambda move: move[0].start) - 1


def _follow_start(moves: Sequence[Move], position: int) -> int:
    index = _find(moves, position)
    if index < 0:
        return position
    old, new = moves[index]
    return new.start if position < old.end else new.end + position - old.end


def _follow_end(moves: Sequence[Move], span: TextSpan) -> int:
    index = _find(moves, max(span.end - 1, span.start))
    if index < 0:
        return span.end
    old, new = moves[index]
    return new.end if span.end <= old.end else new.end + span.end - old.end


def split_link(link: Link, sources: Sequence[Move], targets: Sequence[Move]) -> list[Link]:
    """A link whose both ends reach from what was replaced into what was not (a token `1)` of `T-1)`) as two."""
    source, target = _divide(sources, link.source), _divide(targets, link.target)
    if source is None or target is None:
        return [link]
    return [Link(mine, theirs, link.score) for mine, theirs in zip(source, target, strict=True)]


def _divide(moves: Sequence[Move], span: TextSpan) -> tuple[TextSpan, TextSpan] | None:
    """The part of a range that was replaced, and the part behind it; None unless it begins in one and ends behind."""
    index = _find(moves, span.start)
    end = moves[index][0].end if index >= 0 else 0
    return (TextSpan(span.start, end), TextSpan(end, span.end)) if span.start < end < span.end else None
