"""What the server made of a case, as far as the invariants look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A segment of an answer: its text and where it says that this stands in the answer."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Answer:
    """What the server made of a case. `normal`: its translation of the text that `as_normal` names.

    `error`: the status (and reason) of the item or the whole call; "" where there is a translation. `links`:
    pairs of a source word and the target word that the alignment gives it.
    """

    text: str = ""
    flags: frozenset[str] = frozenset()
    detected: str = ""
    target: str = ""
    error: str = ""
    parts: Sequence[Part] = ()
    links: Sequence[tuple[str, str]] = ()
    normal: str = ""
    seconds: float = 0.0
