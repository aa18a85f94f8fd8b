"""Merges spans of a text, and widens them to whole words. Pure functions."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from latimer_server.core.scripts import UNSPACED_LETTERS
from latimer_server.core.spans import TextSpan

# Stands where markup divides a text while placeholders are sought in it: a character that counts as white space in
# Python's regular expressions, but is no space, tab or line break.
SEPARATOR = "\x1f"
_UNGLUED = re.compile(f"[{UNSPACED_LETTERS}\u2e80-\U0010ffff]")
_JOINT = re.compile(r"[-:;=+|/.,_@#&*~<>\\]{1,3}")
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


def bridge_spans(text: str, spans: Iterable[TextSpan]) -> tuple[TextSpan, ...]:
    """Returns ascending spans, those merged that only signs without spaces divide, as in `{host}:{port}`.

    A model would put spaces around such signs.
    """
    bridged: list[TextSpan] = []
    for span in spans:
        if bridged and _JOINT.fullmatch(text, bridged[-1].end, span.start):
            bridged[-1] = TextSpan(bridged[-1].start, span.end)
        else:
            bridged.append(span)
    return tuple(bridged)


def separate_text(text: str, boundaries: Sequence[int]) -> str:
    """Returns a text with a `SEPARATOR` inserted at each of the offsets `boundaries`, which are ascending."""
    edges = [0, *boundaries, len(text)]
    return SEPARATOR.join(text[start:end] for start, end in pairwise(edges))


def join_spans(spans: Iterable[TextSpan], boundaries: Sequence[int]) -> Iterator[TextSpan]:
    """Yields for each span of the result of `separate_text` the corresponding span of the text without separators."""
    places = [boundary + number for number, boundary in enumerate(boundaries)]  # those of the separators
    for span in spans:
        yield TextSpan(span.start - bisect_left(places, span.start), span.end - bisect_left(places, span.end))


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
