"""Sizes of pieces and texts as the estimates of time count them: a short piece counts as one of eight tokens.

Each piece has a fixed cost besides its tokens. Without it, texts of one word a line would teach an estimate that a code
point takes ten times as long, and paragraphs would be refused by it. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sized

# A shorter piece counts as one of this many tokens, and its text as one of this many code points.
LEAST_TOKENS = 8
LEAST_CHARACTERS = 24


def count_tokens(piece: Sized) -> int:
    """Returns the tokens that a piece counts as."""
    return max(len(piece), LEAST_TOKENS)


def count_characters(segment: str) -> int:
    """Returns the code points that the text of one segment counts as."""
    return max(len(segment), LEAST_CHARACTERS)


def estimate_characters(text: str) -> int:
    """Returns the code points that a text counts as before it is segmented: a line is at least one segment."""
    lines = text.count("\n") + 1
    return max(len(text), min(LEAST_CHARACTERS * lines, LEAST_CHARACTERS * len(text)))
