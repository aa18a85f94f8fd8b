"""The interface of an engine, ours or a peer, that the scenarios use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from benchmarks.peers.texts import Paragraph


class Engine(Protocol):
    """An engine with its model loaded. It uses no CPU until it is called, and then may use every core."""

    @property
    def name(self) -> str:
        """The name of the engine and its number of processes or threads."""

    @property
    def described(self) -> str:
        """Its version and its number format."""

    @property
    def process_ids(self) -> Sequence[int]:
        """The ids of its processes, without the process of the caller."""

    async def translate(self, sentence: str) -> str:
        """Translates one sentence for one of many callers."""

    async def translate_all(self, paragraphs: Sequence[Paragraph]) -> list[str]:
        """Translates many paragraphs in the fastest way that the engine offers."""

    async def time_single(self, sentence: str) -> float:
        """Returns the seconds of one sentence without other callers: of the whole call for ours, inside the process for
        a peer."""
