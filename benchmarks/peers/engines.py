"""What the scenarios see of an engine, ours or a peer. Knows neither processes nor channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from benchmarks.peers.texts import Paragraph


class Engine(Protocol):
    """One engine, with the model loaded; it rests until it is called, and then may use every core."""

    @property
    def name(self) -> str:
        """What it is, and with how many processes or threads."""

    @property
    def described(self) -> str:
        """Its version and what it computes in."""

    @property
    def process_ids(self) -> Sequence[int]:
        """The processes that it consists of; the caller's is none of them."""

    async def translate(self, sentence: str) -> str:
        """One sentence, for one of many callers."""

    async def translate_all(self, paragraphs: Sequence[Paragraph]) -> list[str]:
        """Many paragraphs, in the fastest way it has."""

    async def time_single(self, sentence: str) -> float:
        """Seconds of one sentence while nobody else calls: inside the process of a peer, of the whole call of ours."""
