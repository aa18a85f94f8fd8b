"""Greedy search over one batch of a Marian student: which rows are left, what each has said so far.

Knows the engine that computes it; no vocabulary and no files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latimer_server.backends.base import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.backends.marian_engine import END, Engine, Ids, choose_candidates
from latimer_server.backends.marian_output import COMPACT_SHARE, output_cap
from latimer_server.backends.shortlist import Shortlist


class GreedySearch:
    """The likeliest next token at each step. For one `run`."""

    def __init__(
        self,
        engine: Engine,
        shortlist: Shortlist | None,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
    ) -> None:
        self._caps = [output_cap(len(row), options) for row in batch]
        self._ids: list[list[int]] = [[] for _ in batch]
        self._log_probs = [0.0] * len(batch)
        self._finished = [False] * len(batch)  # said </s> by itself
        self._stopped = [False] * len(batch)  # that, or reached its cap
        self._rows = list(range(len(batch)))  # the batch row behind each row of the arrays
        self._links: list[list[tuple[int, float]]] | None = [[] for _ in batch] if options.alignment else None
        candidates = choose_candidates(engine, shortlist, batch)
        self._decoding = engine.begin(batch, candidates, aligned=options.alignment)

    def run(self, cancelled: Cancelled) -> list[Hypothesis]:
        """The hypothesis of each row, in the batch's order."""
        previous: Ids | None = None
        for position in range(max(self._caps) + 1):
            chosen, log_probs = self._decoding.choose(previous, position)
            if self._links is not None:
                self._align(self._links)
            keep = self._record(chosen.tolist(), log_probs.tolist())
            if not any(keep) or cancelled():
                break
            previous = chosen
            if len(keep) - sum(keep) >= COMPACT_SHARE * len(keep):
                previous = self._drop(keep, previous)
        links = self._links or [[] for _ in self._ids]
        return [
            # A row that has stopped looks on: what belongs to no id of its is no link.
            Hypothesis(tuple(ids), log_prob, truncated=not finished, alignment=tuple(own[: len(ids)]))
            for ids, log_prob, finished, own in zip(self._ids, self._log_probs, self._finished, links, strict=True)
        ]

    def _align(self, links: list[list[tuple[int, float]]]) -> None:
        """Appends what each row looked at in this step."""
        for row, link in zip(self._rows, zip(*self._decoding.align(), strict=True), strict=True):
            links[row].append(link)

    def _record(self, ids: list[int], log_probs: list[float]) -> list[bool]:
        """Appends a step's tokens; says which rows of the arrays go on. A row that has stopped may stay in them for
        some steps yet: what it says there is nothing."""
        for row, token, log_prob in zip(self._rows, ids, log_probs, strict=True):
            if self._stopped[row]:
                continue
            if token == END:
                self._finished[row] = self._stopped[row] = True
                self._log_probs[row] += log_prob
            elif len(self._ids[row]) == self._caps[row]:
                self._stopped[row] = True
            else:
                self._ids[row].append(token)
                self._log_probs[row] += log_prob
        return [not self._stopped[row] for row in self._rows]

    def _drop(self, keep: list[bool], previous: Ids) -> Ids:
        rows = np.flatnonzero(keep)
        self._rows = [row for row, kept in zip(self._rows, keep, strict=True) if kept]
        self._decoding.select_hypotheses(rows)
        self._decoding.select_sources(rows)
        return previous[rows]
