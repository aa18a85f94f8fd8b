"""Greedy search over one batch of a Marian student. Keeps the active rows and the output of each row.

The engine computes the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from latimer_server.backends.marian.engine import END, Engine, Floats, Ids, choose_candidates
from latimer_server.backends.marian.length_cap import COMPACT_SHARE, STEPS_PER_CANCEL_CHECK, output_cap
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds


class GreedySearch:
    """A search over one batch that takes the likeliest next token of each row at each step. Each object runs once."""

    def __init__(
        self,
        engine: Engine,
        shortlist: Shortlist | None,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
    ) -> None:
        self._caps = np.array([output_cap(len(row), options) for row in batch])
        self._ids: list[list[int]] = [[] for _ in batch]
        self._log_probs: list[list[float]] = [[] for _ in batch]
        self._finished = [False] * len(batch)  # the row ended with </s>
        self._stopped = [False] * len(batch)  # the row ended with </s> or at its cap
        self._rows = list(range(len(batch)))  # the index in the batch of each row of the engine's arrays
        self._links: list[list[tuple[int, float]]] | None = [[] for _ in batch] if options.alignment else None
        candidates = choose_candidates(engine, shortlist, batch)
        self._decoding = engine.begin(batch, candidates, aligned=options.alignment)

    def run(self, cancelled: Cancelled) -> list[Hypothesis]:
        """Returns the hypothesis of each row, in the order of the batch."""
        previous: Ids | None = None
        position = 0
        while True:
            caps = np.where([self._stopped[row] for row in self._rows], -1, self._caps[self._rows])
            step = self._decoding.advance(previous, position, caps, STEPS_PER_CANCEL_CHECK)
            if self._links is not None:
                self._align(self._links)
            self._record(step.chosen, step.log_probs)
            self._rows = [self._rows[place] for place in step.kept.tolist()]
            keep = [not self._stopped[row] for row in self._rows]
            if not any(keep) or cancelled():
                break
            position += len(step.chosen)
            previous = step.chosen[-1, step.kept]
            # Stopped rows stay in the arrays until their share is worth the copies of a compaction.
            if len(keep) - sum(keep) >= COMPACT_SHARE * len(keep):
                previous = self._drop(keep, previous)
        links = self._links or [[] for _ in self._ids]
        return [
            # A stopped row gets links as long as it stays in the arrays; those beyond its ids are dropped.
            Hypothesis(tuple(ids), math.fsum(logs), truncated=not finished, alignment=tuple(row_links[: len(ids)]))
            for ids, logs, finished, row_links in zip(self._ids, self._log_probs, self._finished, links, strict=True)
        ]

    def _align(self, links: list[list[tuple[int, float]]]) -> None:
        """Appends the alignment of the last step to the entries in `links` of the rows that are in the arrays."""
        for row, link in zip(self._rows, zip(*self._decoding.align(), strict=True), strict=True):
            links[row].append(link)

    def _record(self, chosen: Ids, log_probs: Floats) -> None:
        """Appends the ids of these steps [steps, rows] to the outputs of the rows. Ignores rows that stopped before."""
        for row, tokens, logs in zip(self._rows, chosen.T.tolist(), log_probs.T.tolist(), strict=True):
            if self._stopped[row]:
                continue
            ids, left = self._ids[row], int(self._caps[row]) - len(self._ids[row])
            count = tokens.index(END) if END in tokens else len(tokens)
            self._finished[row] = count < len(tokens) and count <= left
            self._stopped[row] = self._finished[row] or left < len(tokens)
            kept = min(count, left)
            ids.extend(tokens[:kept])
            self._log_probs[row].extend(logs[: kept + self._finished[row]])

    def _drop(self, keep: list[bool], previous: Ids) -> Ids:
        """Removes rows whose `keep` is False from the arrays. Returns the items of `previous` for those that remain."""
        rows = np.flatnonzero(keep)
        self._rows = [row for row, kept in zip(self._rows, keep, strict=True) if kept]
        self._decoding.select_hypotheses(rows)
        self._decoding.select_sources(rows)
        return previous[rows]


def is_greedy(options: DecodingOptions) -> bool:
    """True if greedy search, which is faster, gives the hypothesis that the options request."""
    return (
        options.beam_size in (None, 1)
        and options.hypothesis_count == 1
        and options.repetition_penalty in (None, 1.0)
        and not options.no_repeat_ngram_size
    )
