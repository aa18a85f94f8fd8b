"""The answer of the server to a case, with the fields that the invariants check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A segment of an answer: its text and its reported span in the answer, in code points."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Answer:
    """The answer of the server to one content. `normal`: its translation of the text of the invariant `as_normal`.

    `error`: the status (and reason) of the content or of the whole call; "" for a translation. `links`: pairs of a
    source word and the target word that the alignment links to it.
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
