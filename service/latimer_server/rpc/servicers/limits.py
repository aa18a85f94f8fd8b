"""The limits of requests that the contract states. Characters are code points."""

from __future__ import annotations

MAX_CONTENTS = 1_024
MAX_CONTENT_CHARACTERS = 1_000_000
MAX_TOTAL_CHARACTERS = 2_000_000
MAX_TARGETS = 16
MAX_ITEM_ID = 256
MAX_CANDIDATES = 100
MAX_LANGUAGE_CODE = 100
MAX_MODEL_NAME = 100
MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100
MAX_TAGS = 100
MAX_PATTERNS = 32
MAX_PHRASES = 1_000
MAX_TERMS = 1_000
# Characters of a pattern, a phrase, a tag, and each side of a glossary term.
MAX_TERM_CHARACTERS = 256


def describe_range(least: int | None, most: int) -> str:
    """Returns the range of a limit for an error message. `least` None means that there is no lower limit."""
    return f"at most {most}" if least is None else f"{least} to {most}"
