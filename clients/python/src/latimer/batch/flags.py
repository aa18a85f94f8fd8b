"""Which flags are warnings."""

from __future__ import annotations

from collections.abc import Iterable

# The flags that say what the server did. The comments of the contract's enum Flag call them notes.
NOTES = frozenset({"PASSTHROUGH", "PIVOTED", "SEGMENT_SPLIT", "REPETITION_REPAIRED", "MARKUP_REPAIRED", "CACHED"})


def select_warnings(flags: Iterable[str]) -> tuple[str, ...]:
    """Returns the warnings among the names of flags. A flag that only a newer server knows is one."""
    return tuple(flag for flag in flags if flag not in NOTES)
