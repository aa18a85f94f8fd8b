"""Flags: facts and warnings about one segment, and how the flags of segments become those of a text.

The names are those of the contract's `Flag` enum.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Flag(Enum):
    """A fact about one segment; see the contract for what each says."""

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

    @property
    def is_warning(self) -> bool:
        """Whether it says what may be wrong; the others say what was done."""
        return self.value >= Flag.OUTPUT_TRUNCATED.value


# Those that a translation can raise; a caller may not ask for an error on the others, which it would never see.
TRANSLATION_FLAGS = frozenset(Flag) - {Flag.UNSUPPORTED_CLAIM}


def merge_flags(groups: Iterable[Iterable[Flag]]) -> tuple[Flag, ...]:
    """Every flag of the groups once, in the order of the contract."""
    found = {flag for group in groups for flag in group}
    return tuple(sorted(found, key=lambda flag: flag.value)) if found else ()
