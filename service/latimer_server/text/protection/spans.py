"""Spans put together, and the words that they are parts of. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from latimer_server.core.spans import TextSpan


def merge_spans(spans: Iterable[TextSpan]) -> tuple[TextSpan, ...]:
    """Spans ascending, those that overlap or touch as one; empty ones left out."""
    merged: list[TextSpan] = []
    for span in sorted((span for span in spans if span.start < span.end), key=lambda span: span.start):
        if merged and span.start <= merged[-1].end:
            merged[-1] = TextSpan(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def widen_span(text: str, span: TextSpan) -> TextSpan:
    """A span with the letters and digits of the word that it is part of."""
    start, end = span.start, span.end
    while start > 0 and is_glue(text[start - 1]):
        start -= 1
    while end < len(text) and is_glue(text[end]):
        end += 1
    return TextSpan(start, end)


def is_glue(character: str) -> bool:
    """Whether a character makes one word with what it touches: letters and digits of scripts that have spaces."""
    return character.isalnum() and not "\u0e00" <= character <= "\u0eff" and character < "\u2e80"
