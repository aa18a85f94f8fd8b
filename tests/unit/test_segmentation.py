"""Tests of segmentation: any text is split and rebuilt without loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.segmentation import (
    Splitting,
    divide_segment,
    find_lines,
    join_lines,
    needs_translation,
    rebuild_text,
    segment_text,
)

# Parts of texts: words, every kind of white space and line break, invisible marks, other scripts.
_PARTS = st.sampled_from(
    ["Hello", "Dr. Smith", "e.g.", "3.14", ".", "!", "?", "...", ",", " ", "  ", "\t", "\n", "\r\n", "\r", "\n\n", "\v",
     "\f", "\x1c", "\x85", "\u2028", "\u2029", "\u00a0", "\u200b", "\u200d", "\ufeff", "\u202e", "世界。", "नमस्ते।",
     "«", "»", "😀", "👨‍👩‍👧", "é", "e\u0301", "-", "—", "(", ")", "“", "”", "word " * 20]
)  # fmt: skip
_TEXTS = st.one_of(st.text(), st.lists(_PARTS, max_size=30).map("".join))


@given(_TEXTS, st.sampled_from(Splitting), st.sampled_from(["en", "pt", "zh", "hi", "xx"]))
def test_segments_and_separators_form_the_text(text: str, splitting: Splitting, language: str) -> None:
    document = segment_text(text, splitting, language)
    rebuilt = rebuild_text(document, document.segments)
    assert rebuilt.text == text
    assert rebuilt.spans == document.spans
    ends = [edge for span in document.spans for edge in (span.start, span.end)]
    assert ends == sorted(ends)
    assert all(segment and segment == segment.strip() for segment in document.segments)


@given(_TEXTS, st.sampled_from(Splitting))
def test_only_white_space_and_invisible_marks_are_between_segments(text: str, splitting: Splitting) -> None:
    document = segment_text(text, splitting, "en")
    without = rebuild_text(document, [""] * len(document.spans)).text
    assert not any(character.isalnum() for character in without)


@given(_TEXTS)
def test_rebuilding_returns_the_span_of_each_segment(text: str) -> None:
    document = segment_text(text, Splitting.SENTENCES, "en")
    rebuilt = rebuild_text(document, [f"<{i}>" for i in range(len(document.spans))])
    assert [rebuilt.text[s.start : s.end] for s in rebuilt.spans] == [f"<{i}>" for i in range(len(document.spans))]


@pytest.mark.parametrize(
    ("splitting", "segments"),
    [
        (Splitting.SENTENCES, ["One. ", "Two", "three.", "Four."]),
        (Splitting.NONE, ["One. Two\nthree.\n\nFour."]),
        (Splitting.SENTENCES_ACROSS_LINES, ["One.", "Two\nthree.", "Four."]),
        (Splitting.LINES, ["One. Two", "three.", "Four."]),
    ],
)
def test_each_mode_splits_as_the_contract_says(splitting: Splitting, segments: list[str]) -> None:
    document = segment_text("One. Two\nthree.\n\nFour.", splitting, "en")
    assert document.segments == [segment.strip() for segment in segments]


@pytest.mark.parametrize(
    "text", ["Moro no 5.º andar, porta 2.ª", "A 1.ª vez foi a 3.ª.", "no 2.º.", "os 2.ºs lugares", "aos 20.° dia"]
)
def test_the_full_stop_of_an_ordinal_number_ends_no_sentence(text: str) -> None:
    assert list(segment_text(text, Splitting.SENTENCES, "pt").segments) == [text]
    assert segment_text(f"{text} Era tarde.", Splitting.SENTENCES, "pt").segments[0].startswith(text[:8])


def test_a_line_longer_than_a_window_is_split_like_a_short_one() -> None:
    sentence = "The river rose again that night and nobody in the town slept. "
    document = segment_text(sentence * 2_000, Splitting.SENTENCES, "en")
    assert document.segments == [sentence.strip()] * 2_000


def test_a_long_line_without_sentence_ends_is_split_without_loss() -> None:
    text = "a" * 1_000_000
    document = segment_text(text, Splitting.SENTENCES, "en")
    assert "".join(document.segments) == text


@pytest.mark.parametrize("splitting", list(Splitting))
@pytest.mark.parametrize("space", [" ", "\n", "\t", "\u00a0", "\u3000", "\u2028"])
def test_a_long_text_is_never_divided_inside_a_word(space: str, splitting: Splitting) -> None:
    words = [f"word{number}" for number in range(4_000)]
    document = segment_text(space.join(words), splitting, "en")
    assert [word for segment in document.segments for word in segment.split(space)] == words


def test_joined_lines_have_one_space_for_each_break() -> None:
    assert join_lines("one \r\n  two\nthree") == "one two three"


@pytest.mark.parametrize("text", ["", " \n", "42", "1,234.5", "--- * ---", "😀", "2026-11-23", "€ 5", "½"])
def test_text_without_letters_needs_no_model(text: str) -> None:
    assert not needs_translation(text)


@pytest.mark.parametrize("text", ["a", "1 kg", "é", "世", "№ a"])
def test_text_with_a_letter_needs_a_model(text: str) -> None:
    assert needs_translation(text)


def _words(text: str) -> list[int]:
    """A tokenizer of words: each token starts at the white space before its word."""
    starts, inside = [], False
    for index, character in enumerate(text):
        if not character.isspace() and not inside:
            starts.append(index)
        inside = not character.isspace()
    return starts


@given(_TEXTS, st.integers(1, 12), st.sampled_from([_words, lambda text: list(range(len(text)))]))
def test_the_pieces_of_a_long_segment_fit_and_form_the_segment(text: str, limit: int, tokenizer: object) -> None:
    assert callable(tokenizer)
    parts = divide_segment(text, limit, tokenizer)
    assert all(len(tokenizer(text[part.start : part.end])) <= limit for part in parts)
    edges = [0, *(edge for part in parts for edge in (part.start, part.end)), len(text)]
    assert edges == sorted(edges)
    gaps = "".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    assert not any(character.isalnum() for character in gaps)


def test_a_long_sentence_is_split_after_a_clause() -> None:
    text = "When the river rose, the town slept; when it fell, the bells rang, and people came out to look."
    parts = [text[part.start : part.end] for part in divide_segment(text, 10, _words)]
    assert parts == [
        "When the river rose, the town slept;",
        "when it fell, the bells rang,",
        "and people came out to look.",
    ]


def test_a_segment_with_several_tokens_per_code_point_is_split() -> None:
    parts = divide_segment("ﷺﷺ", 3, lambda text: [i for i in range(len(text)) for _ in range(18)])
    assert parts == [TextSpan(0, 1), TextSpan(1, 2)]


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u202f", "\u2028", "\u3000", "\x85"])
@pytest.mark.parametrize("language", ["en", "pt", "fr", "de", "ru", "zh", "ar", "hi", "xx"])
@pytest.mark.parametrize("splitting", [Splitting.SENTENCES, Splitting.SENTENCES_ACROSS_LINES])
def test_a_full_stop_after_a_multibyte_space_does_not_panic(space: str, language: str, splitting: Splitting) -> None:
    text = f"Take vitamin C{space}. It helps. É{space}. Sim."
    document = segment_text(text, splitting, language)
    assert rebuild_text(document, document.segments).text == text


def test_a_splitter_that_panics_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        """Like the exception of pyo3: not an Exception."""

    def panic(language: str, text: str) -> list[dict[str, int]]:
        raise Panic

    monkeypatch.setattr("sentencex.get_sentence_boundaries", panic)
    text = "One sentence. Another one.\n" + "word " * 5_000
    document = segment_text(text, Splitting.SENTENCES, "en")
    assert rebuild_text(document, document.segments).text == text


def test_long_white_space_is_read_in_linear_time() -> None:
    blanks = " " * 1_000_000  # quadratic work never finishes
    assert join_lines(f"one.{blanks}two") == f"one.{blanks}two"
    assert join_lines(f"one.{blanks}\n{blanks}two") == "one. two"
    document = segment_text(f"One.{blanks}Two.\n{blanks}Three.", Splitting.SENTENCES_ACROSS_LINES, "en")
    assert rebuild_text(document, ["1", "2", "3"], join=True).text == f"1{blanks}2 3"
    assert len(divide_segment(f"a{' ' * 100_000}b — c", 2, _words)) == 3


@given(st.text(alphabet="aé1 .-\t\n\r\x1c\x85\u2028\u00ad\u200b\ufeff\u061c", max_size=12))
def test_the_fast_path_for_one_line_agrees_with_the_segmentation(text: str) -> None:
    assert find_lines(text) == segment_text(text, Splitting.LINES, "")
