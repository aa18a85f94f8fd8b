"""Estimates the memory of a request in work: its parsed and segmented texts, and their translations. Pure functions."""

from __future__ import annotations

from latimer_server.text.markup import TextFormat
from latimer_server.translation.requests import TranslateRequest

# Bytes of a code point, of a segment with its output, and of a tag. Texts of one letter a line took 500 bytes a line,
# and those of one letter between two tags 3,600 bytes for each letter.
_CHARACTER_BYTES = 8
_SEGMENT_BYTES = 500
_TAG_BYTES = 1_700
# Signs that may end a segment, of which a text has about one for each.
_ENDS = "\n.!?。"
# Signs that begin a mark, by format.
_MARKS = {TextFormat.PLAIN: "<", TextFormat.HTML: "<", TextFormat.XML: "<", TextFormat.MARKDOWN: "*_`[<|"}


def estimate_bytes(request: TranslateRequest) -> int:
    """Returns the bytes that a request takes in work. It counts signs only, so it takes almost no time."""
    marks = _MARKS.get(request.options.text_format or TextFormat.PLAIN, "")
    total = 0
    for content in request.contents:
        segments = sum(map(content.count, _ENDS))
        tags = sum(map(content.count, marks))
        total += _CHARACTER_BYTES * len(content) + _SEGMENT_BYTES * segments + _TAG_BYTES * tags
    return total * len(set(request.targets))
