"""Tests of mapping spans and links between a text and its copy with replaced parts."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link, map_span, split_link

# `was $1,500)` became `was T-1)`.
MOVES = [(TextSpan(4, 7), TextSpan(4, 10))]


@pytest.mark.parametrize(
    ("span", "moved"),
    [((0, 3), (0, 3)), ((4, 7), (4, 10)), ((5, 6), (4, 10)), ((7, 8), (10, 11)), ((6, 8), (4, 11)), ((2, 5), (2, 10))],
)
def test_a_span_that_touches_a_replaced_part_maps_to_the_whole_part(
    span: tuple[int, int], moved: tuple[int, int]
) -> None:
    assert map_span(MOVES, TextSpan(*span)) == TextSpan(*moved)


def test_a_link_that_reaches_beyond_a_mask_is_split_in_two() -> None:
    link = Link(TextSpan(6, 8), TextSpan(6, 8), 0.9)
    assert split_link(link, MOVES, MOVES) == [
        Link(TextSpan(6, 7), TextSpan(6, 7), 0.9),
        Link(TextSpan(7, 8), TextSpan(7, 8), 0.9),
    ]
    inside = Link(TextSpan(4, 7), TextSpan(6, 8), 0.9)
    assert split_link(inside, MOVES, MOVES) == [inside]
    assert split_link(link, [], MOVES) == [link]
