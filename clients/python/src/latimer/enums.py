"""Constants of the contract's enums: flags, modes of summaries, states and tasks of models, health.

Results hold plain strings, which are equal to these constants: `Flag.REPETITION in translation.flags`. A value that
only a newer server knows is its number as a string.
"""

from __future__ import annotations

from enum import Enum

# Flags from this number on are warnings; those below are notes (protos/latimer/v1/types.proto).
_FIRST_WARNING = 20


class _Name(str, Enum):
    """A string constant that prints as its value."""

    value: str

    def __str__(self) -> str:
        return self.value

    def __format__(self, format_spec: str) -> str:
        return format(self.value, format_spec)


class Flag(_Name):
    """A fact about a segment, a translation or a summary. A note says what the server did; a warning says that the
    output may be wrong (`is_warning`)."""

    PASSTHROUGH = "PASSTHROUGH"
    PIVOTED = "PIVOTED"
    SEGMENT_SPLIT = "SEGMENT_SPLIT"
    REPETITION_REPAIRED = "REPETITION_REPAIRED"
    MARKUP_REPAIRED = "MARKUP_REPAIRED"
    CACHED = "CACHED"
    OUTPUT_TRUNCATED = "OUTPUT_TRUNCATED"
    REPETITION = "REPETITION"
    COPIED_SOURCE = "COPIED_SOURCE"
    WRONG_OUTPUT_LANGUAGE = "WRONG_OUTPUT_LANGUAGE"
    LENGTH_RATIO = "LENGTH_RATIO"
    PLACEHOLDER_MISMATCH = "PLACEHOLDER_MISMATCH"
    NUMBER_MISMATCH = "NUMBER_MISMATCH"
    GLOSSARY_MISS = "GLOSSARY_MISS"
    UNKNOWN_TOKENS = "UNKNOWN_TOKENS"
    LOW_LANGUAGE_CONFIDENCE = "LOW_LANGUAGE_CONFIDENCE"
    UNSUPPORTED_CLAIM = "UNSUPPORTED_CLAIM"
    MISSING_TEXT = "MISSING_TEXT"
    UNKNOWN_WORD = "UNKNOWN_WORD"


NOTES = frozenset(
    {
        Flag.PASSTHROUGH,
        Flag.PIVOTED,
        Flag.SEGMENT_SPLIT,
        Flag.REPETITION_REPAIRED,
        Flag.MARKUP_REPAIRED,
        Flag.CACHED,
    }
)


class SummaryMode(_Name):
    """The method by which a summary is composed."""

    EXTRACTIVE = "EXTRACTIVE"
    ABSTRACTIVE = "ABSTRACTIVE"
    HYBRID = "HYBRID"


class ModelState(_Name):
    """The state of a model of the catalogue."""

    NOT_FETCHED = "NOT_FETCHED"
    AVAILABLE = "AVAILABLE"
    LOADING = "LOADING"
    READY = "READY"
    FAILED = "FAILED"
    DRAINING = "DRAINING"


class ModelTask(_Name):
    """The task of a model."""

    TRANSLATION = "TRANSLATION"
    SUMMARIZATION = "SUMMARIZATION"


class Health(_Name):
    """The health of a server, a service or a model, as in gRPC's health checking protocol."""

    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
    UNKNOWN = "UNKNOWN"


def is_warning(flag: str) -> bool:
    """Returns True if a flag of a result is a warning. The number of a flag that only a newer server knows tells as
    well."""
    if flag.isascii() and flag.isdigit():
        return int(flag) >= _FIRST_WARNING
    return flag not in NOTES
