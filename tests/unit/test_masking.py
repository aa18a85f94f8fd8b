"""Tests of masks: protected spans are replaced by masks in model input and restored exactly once in the output."""

from __future__ import annotations

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import map_span
from latimer_server.text.protection.mask_forms import MASK_FORMS, MaskForm
from latimer_server.text.protection.masking import (
    ProtectedText,
    list_unprotected,
    mask_spans,
    strip_edge_signs,
    unmask_spans,
)
from latimer_server.text.protection.spans import merge_spans


@st.composite
def guarded_texts(draw: st.DrawFn) -> ProtectedText:
    text = draw(st.text(alphabet="ab T-1[]_2XYZ,.é中🎉\n", max_size=60))
    edges = draw(st.lists(st.integers(0, len(text)), max_size=8))
    spans = [TextSpan(*sorted(pair)) for pair in zip(edges[::2], edges[1::2], strict=False)]
    return ProtectedText(text, merge_spans(spans))


@given(guarded_texts(), st.sampled_from(MASK_FORMS))
def test_the_text_is_restored_if_the_model_copies_its_input(guarded: ProtectedText, form: MaskForm) -> None:
    shielded = mask_spans(guarded, form)
    assert [shielded.text[span.start : span.end] for span in shielded.spans] == list(shielded.symbols)
    restored = unmask_spans(shielded.text, shielded)
    if restored is not None:  # a mask that touches its neighbour is not found, and not guessed
        assert restored.guarded == guarded
        assert [map_span(restored.moves, span) for span in shielded.spans] == list(guarded.spans)
        assert [map_span(shielded.moves, span) for span in shielded.spans] == list(guarded.spans)


@given(st.lists(st.sampled_from(["word", "T-7", "é", "[1]", "_1_", "(", "."]), max_size=12), st.randoms())
def test_masks_may_be_in_any_order_in_the_output(words: list[str], rng: random.Random) -> None:
    text = " ".join(words)
    starts = [sum(len(word) + 1 for word in words[:index]) for index in range(len(words))]
    spans = [
        TextSpan(start, start + len(word)) for start, word in zip(starts, words, strict=True) if rng.random() < 0.5
    ]
    guarded = ProtectedText(text, tuple(spans))
    for form in MASK_FORMS:
        shielded = mask_spans(guarded, form)
        order = list(shielded.symbols)
        rng.shuffle(order)
        restored = unmask_spans(" and ".join(order), shielded)
        assert restored is not None
        back = restored.guarded
        assert [back.text[span.start : span.end] for span in back.spans] == guarded.wanted


def test_a_missing_doubled_or_changed_mask_is_detected() -> None:
    shielded = mask_spans(
        ProtectedText("See http://a.b and http://c.d now.", (TextSpan(4, 14), TextSpan(19, 29))), MaskForm("T-#")
    )
    assert shielded.text == "See T-1 and T-2 now."
    for output in ("Veja T-1 agora.", "Veja T-1 e T-2 e T-1.", "Veja t-1 e T-2.", "Veja T-1 e T-22.", "Veja T-1e T-2"):
        assert unmask_spans(output, shielded) is None
    restored = unmask_spans("T-2 e T-1, T-9.", shielded)
    assert restored is not None
    assert restored.guarded.text == "http://c.d e http://a.b, T-9."


def test_a_text_that_contains_a_mask_gets_other_masks() -> None:
    shielded = mask_spans(ProtectedText("The T-1 of http://a.b", (TextSpan(11, 21),)), MaskForm("T-#"))
    assert shielded.symbols[0] not in ("T-1",)
    restored = unmask_spans(shielded.text, shielded)
    assert restored is not None
    assert restored.guarded == shielded.source


def test_a_span_may_have_a_replacement() -> None:
    guarded = ProtectedText("The network is down.", (TextSpan(4, 11),), ("rede",))
    restored = unmask_spans("A T-1 caiu.", mask_spans(guarded, MaskForm("T-#")))
    assert restored is not None
    assert restored.guarded == ProtectedText("A rede caiu.", (TextSpan(2, 6),))


def test_signs_at_the_edges_are_stripped() -> None:
    text = "• Good morning 🎉 🎉"
    guarded = ProtectedText(text, (TextSpan(0, 1), TextSpan(15, 16), TextSpan(17, 18)))
    place, core = strip_edge_signs(guarded)
    assert core == ProtectedText("Good morning")
    assert text[place.start : place.end] == "Good morning"
    assert strip_edge_signs(ProtectedText("http://a.b is down", (TextSpan(0, 10),)))[1].spans == (TextSpan(0, 10),)
    assert strip_edge_signs(ProtectedText("🎉", (TextSpan(0, 1),)))[1].text == ""


@given(guarded_texts())
def test_stripped_signs_are_not_lost(guarded: ProtectedText) -> None:
    place, core = strip_edge_signs(guarded)
    assert guarded.text[place.start : place.end] == core.text
    assert [core.text[span.start : span.end] for span in core.spans] == [
        guarded.text[span.start : span.end]
        for span in guarded.spans
        if place.start <= span.start and span.end <= place.end
    ]


@given(guarded_texts())
def test_spans_and_the_parts_between_form_the_text(guarded: ProtectedText) -> None:
    parts = sorted([*list_unprotected(guarded), *guarded.spans], key=lambda span: span.start)
    assert "".join(guarded.text[part.start : part.end] for part in parts) == guarded.text


def _mask_placeholders(text: str, *placeholders: str) -> str:
    """Returns a text with the first occurrence of each placeholder masked in the first form."""
    spans = sorted((text.index(one), text.index(one) + len(one)) for one in placeholders)
    return mask_spans(ProtectedText(text, tuple(TextSpan(*span) for span in spans)), MASK_FORMS[0]).text


def test_stand_ins_are_of_the_kind_of_their_placeholder() -> None:
    assert _mask_placeholders("Copied %lu of %ld bytes", "%lu", "%ld") == "Copied 37 of 58 bytes"
    assert _mask_placeholders("{user} sent {n} files to {folder}", "{user}", "{n}", "{folder}") == (
        "Daniel sent 37 files to T-3"
    )
    assert _mask_placeholders("Loading (%d%%)", "%d%%") == "Loading (37%)"
    assert _mask_placeholders("See http://a.b now", "http://a.b") == "See T-1 now"


def test_the_words_around_a_placeholder_without_a_name_tell_its_kind() -> None:
    assert _mask_placeholders("Page {0} of {1}", "{0}", "{1}") == "Page 37 of 58"
    assert _mask_placeholders("{0} of {1} files", "{0}", "{1}") == "37 of 58 files"
    assert _mask_placeholders("Step {current} of {last}", "{current}", "{last}") == "Step 37 of 58"
    assert _mask_placeholders("{done} / %d", "{done}", "%d") == "37 / 58"
    assert _mask_placeholders("Faltam %s minutos", "%s") == "Faltam 37 minutos"
    assert _mask_placeholders("Install the %s packages", "%s") == "Install the T-1 packages"


def test_dates_and_times_have_dates_and_times_as_stand_ins() -> None:
    assert _mask_placeholders("Sent on 2024-01-02 at {time}", "2024-01-02", "{time}") == "Sent on 17/05/2024 at 10:45"


def test_stand_ins_are_not_in_the_text_already() -> None:
    assert _mask_placeholders("Daniel has 37 or %d", "%d") == "Daniel has 37 or 58"
    assert _mask_placeholders("Daniel called {user}", "{user}") == "Daniel called Bruno"


def test_a_number_that_is_money_or_one_has_no_number_as_stand_in() -> None:
    assert _mask_placeholders("It costs $%d", "%d") == "It costs $T-1"
    figures = ProtectedText("1 of 25", (TextSpan(0, 1), TextSpan(5, 7)), ("1", "25"))
    assert mask_spans(figures, MASK_FORMS[0]).text == "T-1 of 37"


def test_a_name_behind_an_article_is_a_thing() -> None:
    assert _mask_placeholders("The {name} was changed", "{name}") == "The T-1 was changed"


def test_a_number_that_is_part_of_another_one_is_no_mask() -> None:
    masked = mask_spans(ProtectedText("%d files", (TextSpan(0, 2),)), MASK_FORMS[0])
    for output in ("37.000 arquivos", "1.37 arquivos", "arquivos 3", "37 de 37 arquivos"):
        assert unmask_spans(output, masked) is None
    restored = unmask_spans("São 37.", masked)
    assert restored is not None
    assert restored.guarded.text == "São %d."


def test_people_beyond_the_series_get_other_masks() -> None:
    text = " ".join(f"{{user}}{sign}" for sign in "abcdefgh")
    spans = tuple(TextSpan(match.start(), match.end()) for match in re.finditer(r"\{user\}", text))
    symbols = mask_spans(ProtectedText(text, spans), MASK_FORMS[0]).symbols
    assert len(set(symbols)) == len(spans)
    assert symbols[-1] == "T-8"
