"""Sentences of markup end between adjacent elements and between the links of a menu."""

from __future__ import annotations

import pytest

from latimer_server.text.markup import TextFormat
from latimer_server.text.protection.rules import PatternError, ProtectionRules, compile_pattern
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.segmenting import parse_content, segment_content


@pytest.mark.parametrize(
    ("text_format", "text", "segments"),
    [
        ("html", "<a href=x>New books</a><a href=y>Contact us</a>", ["New books", "Contact us"]),
        ("html", "<div><span>Red cars</span><span>The dog</span></div>", ["Red cars", "The dog"]),
        (
            "html",
            "<nav><a href=a>Home</a> | <a href=b>Sign in</a>\n<a href=c>Help</a></nav>",
            ["Home", "Sign in", "Help"],
        ),
        ("markdown", "[Fresh bread](/0)[Home](/1)", ["Fresh bread", "Home"]),
        ("html", "The <b>red</b> <i>house</i> is old.", ["The red house is old."]),
        ("html", "<label>Email<span>Required</span></label>", ["Email", "Required"]),
        ("html", "<p><small>Old price</small>New price</p>", ["Old price", "New price"]),
        ("html", "<b>Java</b>Script and You<em>Tube</em>", ["JavaScript and YouTube"]),
        ("html", "Mc<b>Donald</b> and un<i>believ</i><b></b>able", ["McDonald and unbelievable"]),
        ("html", "see <a>this</a>, <a>that</a> and more", ["see this, that and more"]),
        ("html", "<span>fresh bre</span><span>ad now</span>", ["fresh bread now"]),
        ("html", "the <i>b</i><i>e</i><i>a</i><i>ch</i>", ["the beach"]),
        ("html", "<a>x@y.org</a><a>z@y.org</a>", ["x@y.org", "z@y.org"]),
    ],
)
def test_sentences_end_between_elements_that_are_no_sentence(text_format: str, text: str, segments: list[str]) -> None:
    parsed = parse_content(text, TextFormat(text_format), ())
    (part,) = segment_content(parsed, "en", Splitting.SENTENCES, ProtectionRules(), None)
    assert [segment.text for segment in part.segments] == segments


def test_a_block_stays_whole_without_splitting() -> None:
    parsed = parse_content("<a>New books</a><a>Contact us</a>", TextFormat.HTML, ())
    (part,) = segment_content(parsed, "en", Splitting.NONE, ProtectionRules(), None)
    assert [segment.text for segment in part.segments] == ["New booksContact us"]


def test_the_patterns_of_all_blocks_share_the_time_of_their_document() -> None:
    text = "<p>ab ba aab bba ab ba aab ab ba aab bb ab ab b</p>" * 2_000  # takes 4 seconds without a limit
    parsed = parse_content(text, TextFormat.HTML, ())
    rules = ProtectionRules(patterns=(compile_pattern("(?:a|b|ab| |ba|aab|bba){1,300}c"),) * 32)
    with pytest.raises(PatternError, match=r"take more than 0\.22 seconds on this text"):
        segment_content(parsed, "en", Splitting.SENTENCES, rules, None)
