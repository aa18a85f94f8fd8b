"""Greedy and beam search of a student over an `Engine`, for devices and networks that the C++ does not support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from latimer_server.backends.marian.beam import BeamSearch
from latimer_server.backends.marian.engine import Engine
from latimer_server.backends.marian.greedy import GreedySearch, is_greedy
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds


class Searcher(Protocol):
    """The weights of a student and the searches over them: the C++ (`NativeStudent`) or an `EngineSearcher`."""

    @property
    def compute_type(self) -> str:
        """The type of the matrix products, with the instruction set of the C++: `int8/avx2`, `int8`, `float32`."""
        ...

    @property
    def memory_bytes(self) -> int:
        """The bytes of weights in memory."""
        ...

    @property
    def shortlist(self) -> Shortlist | None:
        """The shortlist whose tokens are candidates; None if every token is."""
        ...

    def search(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """Returns the hypothesis of each row. See `GeneratorBackend.run`; the batch has at least one row."""
        ...


class EngineSearcher:
    """The `Searcher` that computes with `engine`. Without a `shortlist` every token is a candidate."""

    def __init__(self, engine: Engine, shortlist: Shortlist | None) -> None:
        self.engine = engine
        self.shortlist = shortlist
        self.compute_type = engine.compute_type
        self.memory_bytes = engine.memory_bytes

    def search(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """See `Searcher.search`."""
        search = GreedySearch if is_greedy(options) else BeamSearch
        shortlist = None if options.whole_vocabulary else self.shortlist
        # Sorts rows by length: sources are encoded in groups of similar length, which then need no reordering.
        order = sorted(range(len(batch)), key=lambda row: len(batch[row]))
        found = search(self.engine, shortlist, [batch[row] for row in order], options).run(cancelled)
        return [hypothesis for _, hypothesis in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]
