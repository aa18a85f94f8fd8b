"""Merges spans of a text, and widens them to whole words. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from latimer_server.core.scripts import UNSPACED_LETTERS
from latimer_server.core.spans import TextSpan

_UNGLUED = re.compile(f"[{UNSPACED_LETTERS}\u2e80-\U0010ffff]")
# No character below this one matches `_UNGLUED`, so most texts need no search.
_FIRST_UNGLUED = "\u0e00"


def merge_spans(spans: Iterable[TextSpan]) -> tuple[TextSpan, ...]:
    """Returns the spans in ascending order; those that overlap or touch are merged, empty ones dropped."""
    merged: list[TextSpan] = []
    for span in sorted((span for span in spans if span.start < span.end), key=lambda span: span.start):
        if merged and span.start <= merged[-1].end:
            merged[-1] = TextSpan(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def widen_span(text: str, span: TextSpan) -> TextSpan:
    """Returns a span widened over the letters and digits directly before and after it (see `is_glue`)."""
    start, end = span.start, span.end
    while start > 0 and is_glue(text[start - 1]):
        start -= 1
    while end < len(text) and is_glue(text[end]):
        end += 1
    return TextSpan(start, end)


def is_glue(character: str) -> bool:
    """Returns True for a letter or digit that forms one word with the letters and digits next to it.

    Returns False for letters of scripts without spaces, and for anything from U+2E80 on (the first of the CJK blocks):
    Hangul is there too, and Korean particles follow a noun without a space.
    """
    return character.isalnum() and (character < _FIRST_UNGLUED or not _UNGLUED.match(character))
