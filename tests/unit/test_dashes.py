"""Tests of dashes: models read hyphens with spaces, and the translation has the dashes of its source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.dashes import SourceDashes, collect_dashes, has_double_hyphen, restore_dashes
from latimer_server.text.normalization import Normalized, normalize_text
from latimer_server.text.protection.masking import ProtectedText


def normalize(text: str, *spans: TextSpan) -> Normalized:
    """Returns the text as a model with an ASCII vocabulary reads it."""
    return normalize_text(ProtectedText(text, spans), str.isascii)


def collect(text: str, *spans: TextSpan) -> SourceDashes:
    """Returns the dashes of a text that such a model reads as hyphens."""
    known = normalize(text, *spans)
    return collect_dashes(text, known.guarded, known.moves, TextSpan(0, len(known.guarded.text)))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Life is short—enjoy it.", "Life is short - enjoy it."),
        ("The bridge—closed since May—opens.", "The bridge - closed since May - opens."),
        ("Life is short — enjoy it.", "Life is short - enjoy it."),
        ("Life is short –enjoy it.", "Life is short -enjoy it."),
        ("“Stop”—he said—“now”", '"Stop" - he said - "now"'),
        ("—Yes.", "- Yes."),
        ("But I thought—", "But I thought -"),
        ("Mr. —— left.", "Mr. - left."),
        ("He left--nobody knows why.", "He left - nobody knows why."),
        ("He left -- nobody knows why.", "He left - nobody knows why."),
        ('"No"--said he.', '"No" - said he.'),
        ("Kennedy–Nixon, pages 10–20", "Kennedy-Nixon, pages 10-20"),
        ("Use --force, a-->b, <!--x-->, i-- and ---", "Use --force, a-->b, <!--x-->, i-- and ---"),
    ],
)
def test_a_dash_between_clauses_becomes_a_hyphen_with_spaces(text: str, read: str) -> None:
    assert normalize(text).guarded.text == read


def test_a_dash_that_the_model_knows_stays() -> None:
    assert normalize_text(ProtectedText("short—enjoy"), lambda _: True).guarded.text == "short—enjoy"


def test_a_protected_dash_stays() -> None:
    assert normalize("a—b c—d", TextSpan(0, 3)).guarded.text == "a—b c - d"


@pytest.mark.parametrize(
    ("source", "output", "restored"),
    [
        ("Life is short—enjoy it.", "A vida é curta - aproveite.", "A vida é curta—aproveite."),
        ("Life is short — enjoy it.", "A vida é curta - aproveite.", "A vida é curta — aproveite."),
        ("Life is short – enjoy it.", "A vida é curta - aproveite.", "A vida é curta – aproveite."),
        ("He left--why?", "Ele saiu - por quê?", "Ele saiu--por quê?"),
        ("A—b c – d", "A - b c - d", "A—b c – d"),
        ("A—b c – d", "A - b c", "A - b c"),  # nobody knows which of the two dashes is left
        ("A—b—c", "A - b, c", "A—b, c"),
        ("A - b—c", "A - b - c", "A - b—c"),
        ("A—b", "A, b - c - d", "A, b - c - d"),
        ("pages 10–20", "as páginas 10-20", "as páginas 10–20"),
        ("$70k–$90k", "$70k-$90k", "$70k–$90k"),
        ("1,000–2,000 people", "1.000-2.000 pessoas", "1.000–2.000 pessoas"),
        ("10–20 or 30-40", "10-20 ou 31-40", "10–20 ou 31-40"),
        ("Smith–Jones theorem", "teorema de Smith-Jones, guarda-chuva", "teorema de Smith–Jones, guarda-chuva"),
        ("no dash", "uma - duas", "uma - duas"),
    ],
)
def test_a_translation_has_the_dashes_of_its_source(source: str, output: str, restored: str) -> None:
    assert restore_dashes(ProtectedText(output), collect(source))[0].text == restored


def test_protected_spans_and_moves_follow_the_changed_length() -> None:
    spans = (TextSpan(10, 11), TextSpan(0, 1))  # in the order of the source
    guarded, moves = restore_dashes(ProtectedText("x - y e - z - w", spans), collect("a—b—c—d"))
    assert guarded.text == "x—y e—z—w"
    assert [guarded.text[span.start : span.end] for span in guarded.spans] == ["z", "x"]
    assert moves == (
        (TextSpan(1, 4), TextSpan(1, 2)),
        (TextSpan(7, 10), TextSpan(5, 6)),
        (TextSpan(11, 14), TextSpan(7, 8)),
    )


@given(st.text(alphabet="ab1 -—–―.“”", max_size=40))
def test_an_unchanged_text_gets_all_its_dashes_back(text: str) -> None:
    known = normalize(text)
    restored, _ = restore_dashes(known.guarded, collect(text))
    marks = {dash: text.count(dash) for dash in "—―"}
    assert {dash: restored.text.count(dash) for dash in "—―"} == marks


@pytest.mark.parametrize("unit", ["—", "–", "-", "--", " - ", " — ", "a—", "a-", "1–", "a--b", "—a b", "a"])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    dashes = collect(text)
    assert restore_dashes(ProtectedText(text), dashes)[0].text
    has_double_hyphen(text)
