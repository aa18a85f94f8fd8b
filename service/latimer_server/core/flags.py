"""Flags: facts and warnings about a segment. The names and numbers are those of the contract's `Flag` enum."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Flag(Enum):
    """A fact or a warning about one segment. The contract defines each flag."""

    PASSTHROUGH = 1
    PIVOTED = 2
    SEGMENT_SPLIT = 3
    REPETITION_REPAIRED = 4
    MARKUP_REPAIRED = 5
    CACHED = 6
    OUTPUT_TRUNCATED = 20
    REPETITION = 21
    COPIED_SOURCE = 22
    WRONG_OUTPUT_LANGUAGE = 23
    LENGTH_RATIO = 24
    PLACEHOLDER_MISMATCH = 25
    NUMBER_MISMATCH = 26
    GLOSSARY_MISS = 27
    UNKNOWN_TOKENS = 28
    LOW_LANGUAGE_CONFIDENCE = 29
    UNSUPPORTED_CLAIM = 30
    MISSING_TEXT = 31
    UNKNOWN_WORD = 32

    @property
    def is_warning(self) -> bool:
        """True if the flag warns of a possible error. Other flags report what the server did."""
        return self.value >= Flag.OUTPUT_TRUNCATED.value


# The flags that a translation can raise. A request that asks for an error on any other flag is invalid.
TRANSLATION_FLAGS = frozenset(Flag) - {Flag.UNSUPPORTED_CLAIM}


def merge_flags(groups: Iterable[Iterable[Flag]]) -> tuple[Flag, ...]:
    """Returns the flags of all groups, each once, sorted by their number in the contract."""
    merged = {flag for group in groups for flag in group}
    return tuple(sorted(merged, key=lambda flag: flag.value)) if merged else ()
