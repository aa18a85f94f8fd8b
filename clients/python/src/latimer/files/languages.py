"""Compares the languages that files declare with those of a translation."""

from __future__ import annotations


def is_language(code: str, wanted: str) -> bool:
    """Returns True if two codes name one language; a region or script that only one of them has does not count."""
    if not code or not wanted:
        return False
    parts, others = code.lower().replace("_", "-").split("-"), wanted.lower().replace("_", "-").split("-")
    return all(part == other for part, other in zip(parts, others, strict=False))
