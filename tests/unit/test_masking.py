"""Protected spans are hidden behind symbols and come back exactly once, wherever the symbols came out."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import map_span
from latimer_server.text.protection.masking import (
    MASK_FORMS,
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
def test_what_a_model_copies_comes_back_as_it_was(guarded: ProtectedText, form: str) -> None:
    shielded = mask_spans(guarded, form)
    assert [shielded.text[span.start : span.end] for span in shielded.spans] == list(shielded.symbols)
    restored = unmask_spans(shielded.text, shielded)
    if restored is not None:  # a neighbour may be glued to a symbol: then it is not found, and never guessed
        assert restored.guarded == guarded
        assert [map_span(restored.moves, span) for span in shielded.spans] == list(guarded.spans)
        assert [map_span(shielded.moves, span) for span in shielded.spans] == list(guarded.spans)


@given(st.lists(st.sampled_from(["word", "T-7", "é", "[1]", "_1_", "(", "."]), max_size=12), st.randoms())
def test_symbols_may_come_out_in_any_order(words: list[str], rng: random.Random) -> None:
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


def test_a_symbol_that_is_missing_doubled_or_changed_is_seen() -> None:
    shielded = mask_spans(
        ProtectedText("See http://a.b and http://c.d now.", (TextSpan(4, 14), TextSpan(19, 29))), "T-#"
    )
    assert shielded.text == "See T-1 and T-2 now."
    for output in ("Veja T-1 agora.", "Veja T-1 e T-2 e T-1.", "Veja t-1 e T-2.", "Veja T-1 e T-22.", "Veja T-1e T-2"):
        assert unmask_spans(output, shielded) is None
    restored = unmask_spans("T-2 e T-1, T-9.", shielded)
    assert restored is not None
    assert restored.guarded.text == "http://c.d e http://a.b, T-9."


def test_a_text_that_holds_a_symbol_is_given_others() -> None:
    shielded = mask_spans(ProtectedText("The T-1 of http://a.b", (TextSpan(11, 21),)), "T-#")
    assert shielded.symbols[0] not in ("T-1",)
    restored = unmask_spans(shielded.text, shielded)
    assert restored is not None
    assert restored.guarded == shielded.source


def test_a_span_can_come_out_as_something_else() -> None:
    guarded = ProtectedText("The network is down.", (TextSpan(4, 11),), ("rede",))
    restored = unmask_spans("A T-1 caiu.", mask_spans(guarded, "T-#"))
    assert restored is not None
    assert restored.guarded == ProtectedText("A rede caiu.", (TextSpan(2, 6),))


def test_signs_at_the_edges_are_taken_off() -> None:
    text = "• Good morning 🎉 🎉"
    guarded = ProtectedText(text, (TextSpan(0, 1), TextSpan(15, 16), TextSpan(17, 18)))
    place, core = strip_edge_signs(guarded)
    assert core == ProtectedText("Good morning")
    assert text[place.start : place.end] == "Good morning"
    assert strip_edge_signs(ProtectedText("http://a.b is down", (TextSpan(0, 10),)))[1].spans == (TextSpan(0, 10),)
    assert strip_edge_signs(ProtectedText("🎉", (TextSpan(0, 1),)))[1].text == ""


@given(guarded_texts())
def test_what_is_peeled_off_is_never_lost(guarded: ProtectedText) -> None:
    place, core = strip_edge_signs(guarded)
    assert guarded.text[place.start : place.end] == core.text
    assert [core.text[span.start : span.end] for span in core.spans] == [
        guarded.text[span.start : span.end]
        for span in guarded.spans
        if place.start <= span.start and span.end <= place.end
    ]


@given(guarded_texts())
def test_the_parts_between_spans_and_the_spans_are_the_text(guarded: ProtectedText) -> None:
    parts = sorted([*list_unprotected(guarded), *guarded.spans], key=lambda span: span.start)
    assert "".join(guarded.text[part.start : part.end] for part in parts) == guarded.text
