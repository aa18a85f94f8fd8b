"""Tests of division: a segment is cut between clauses, and the outputs of its parts are joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.errors import OverlongSegment
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.division import divide_clauses, extract_clauses, join_clauses
from latimer_server.translation.segment_output import SegmentOutput

TEXT = "The old bridge near the mill was closed in May, and the new one opens at last next week."


def test_a_segment_is_cut_behind_a_clause() -> None:
    document = divide_clauses(ProtectedText(TEXT))
    assert document is not None
    assert document.segments == [
        "The old bridge near the mill was closed in May,",
        "and the new one opens at last next week.",
    ]


@pytest.mark.parametrize("text", ["", "Short.", "x" * 200, "A sentence with fewer than sixty letters, in two parts."])
def test_a_segment_without_a_place_to_cut_has_no_parts(text: str) -> None:
    assert divide_clauses(ProtectedText(text)) is None


def test_no_part_ends_inside_a_protected_span() -> None:
    kept = "call(a, b, c) of the file, or not"
    start = TEXT.index(",")
    text = TEXT[: start - 6] + kept + TEXT[start:]
    segment = ProtectedText(text, (TextSpan(start - 6, start - 6 + len(kept)),))
    document = divide_clauses(segment)
    assert document is not None
    parts = extract_clauses(segment, document)
    assert [part.text[span.start : span.end] for part in parts for span in part.spans] == [kept]


def test_outputs_are_joined_with_their_spans_and_links() -> None:
    document = divide_clauses(ProtectedText(TEXT))
    assert document is not None
    first = SegmentOutput("A ponte fechou,", -1.0, 4, (), protected=(TextSpan(2, 7),), links=())
    link = Link(TextSpan(0, 3), TextSpan(0, 1), 1.0)
    second = SegmentOutput("E a nova abre.", -2.0, 5, (Flag.NUMBER_MISMATCH, Flag.PIVOTED), links=(link,))
    joined = join_clauses(document, [first, second], "pt")
    assert isinstance(joined, SegmentOutput)
    assert joined.text == "A ponte fechou, e a nova abre."
    assert (joined.log_prob, joined.token_count) == (-3.0, 9)
    # A check of the whole segment adds NUMBER_MISMATCH again if it holds.
    assert joined.flags == (Flag.PIVOTED, Flag.SEGMENT_SPLIT)
    assert joined.protected == (TextSpan(2, 7),)
    assert joined.links is not None
    assert [TEXT[link.source.start : link.source.end] for link in joined.links] == ["and"]
    assert [joined.text[link.target.start : link.target.end] for link in joined.links] == ["e"]


@pytest.mark.parametrize(
    ("output", "language", "expected"),
    [
        ("And so on.", "en", "and so on."),
        ("Und so weiter.", "de", "Und so weiter."),
        ("USA and so on.", "en", "USA and so on."),
    ],
)
def test_a_part_keeps_its_small_first_letter(output: str, language: str, expected: str) -> None:
    document = divide_clauses(ProtectedText(TEXT))
    assert document is not None
    joined = join_clauses(document, [SegmentOutput("First,"), SegmentOutput(output)], language)
    assert isinstance(joined, SegmentOutput)
    assert joined.text == f"First, {expected}"


def test_a_full_stop_behind_a_part_without_one_is_dropped() -> None:
    document = divide_clauses(ProtectedText(TEXT))
    assert document is not None
    joined = join_clauses(document, [SegmentOutput("First."), SegmentOutput("Second.")], "en")
    assert isinstance(joined, SegmentOutput)
    assert joined.text == "First second."


def test_the_error_of_a_part_is_that_of_its_segment() -> None:
    document = divide_clauses(ProtectedText(TEXT))
    assert document is not None
    error = OverlongSegment("too long")
    assert join_clauses(document, [SegmentOutput("First,"), error], "en") is error


@given(st.text(alphabet="ab,. -—1", min_size=60, max_size=300))
def test_parts_and_separators_are_the_whole_text(text: str) -> None:
    document = divide_clauses(ProtectedText(text))
    if document is not None:
        joined = join_clauses(document, [SegmentOutput(part) for part in document.segments], "en")
        assert isinstance(joined, SegmentOutput)
        assert joined.text == text


@pytest.mark.parametrize("unit", [",", "a,", "a ", "a", " - ", "(", "1 "])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    divide_clauses(ProtectedText(unit * (100_000 // len(unit))))
