"""Greedy search over one batch of a Marian student: which rows are left, what each has said so far.

Knows the network and its output layer; no vocabulary and no files.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from latimer_server.backends.base import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.backends.marian_network import MarianNetwork
from latimer_server.backends.marian_output import COMPACT_SHARE, END, output_cap, output_layer, read_batch
from latimer_server.backends.shortlist import Shortlist


class GreedySearch:
    """The likeliest next token at each step. For one `run`."""

    def __init__(
        self,
        network: MarianNetwork,
        shortlist: Shortlist | None,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
    ) -> None:
        self._network = network
        self._caps = [output_cap(len(row), options) for row in batch]
        self._ids: list[list[int]] = [[] for _ in batch]
        self._log_probs = [0.0] * len(batch)
        self._finished = [False] * len(batch)  # said </s> by itself
        self._stopped = [False] * len(batch)  # that, or reached its cap
        self._rows = list(range(len(batch)))  # the batch row behind each row of the tensors
        self._links: list[list[tuple[int, float]]] | None = [[] for _ in batch] if options.alignment else None
        self._state = network.encode(*read_batch(batch))
        layer = output_layer(network, shortlist, batch)
        self._candidates, self._weights, self._bias = layer.candidates, layer.weights, layer.bias

    def run(self, cancelled: Cancelled) -> list[Hypothesis]:
        """The hypothesis of each row, in the batch's order."""
        previous: Tensor | None = None
        for position in range(max(self._caps) + 1):
            features = self._network.step(previous, position, self._state)
            logits = torch.addmm(self._bias, features, self._weights)
            best, columns = logits.max(dim=1)
            log_probs = (best - torch.logsumexp(logits, dim=1)).tolist()
            previous = self._candidates[columns]
            if self._links is not None:
                self._align(self._links)
            keep = self._record(previous.tolist(), log_probs)
            if not any(keep) or cancelled():
                break
            if len(keep) - sum(keep) >= COMPACT_SHARE * len(keep):
                previous = self._drop(keep, previous)
        links = self._links or [[] for _ in self._ids]
        return [
            # A row that has stopped looks on: what belongs to no id of its is no link.
            Hypothesis(tuple(ids), log_prob, truncated=not finished, alignment=tuple(own[: len(ids)]))
            for ids, log_prob, finished, own in zip(self._ids, self._log_probs, self._finished, links, strict=True)
        ]

    def _align(self, links: list[list[tuple[int, float]]]) -> None:
        """Appends what each tensor row looked at in this step."""
        for row, link in zip(self._rows, zip(*self._state.align(), strict=True), strict=True):
            links[row].append(link)

    def _record(self, ids: list[int], log_probs: list[float]) -> list[bool]:
        """Appends a step's tokens; says which tensor rows go on. A row that has stopped may stay in the
        tensors for some steps yet: what it says there is nothing."""
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

    def _drop(self, keep: list[bool], previous: Tensor) -> Tensor:
        rows = torch.tensor([index for index, kept in enumerate(keep) if kept])
        self._rows = [row for row, kept in zip(self._rows, keep, strict=True) if kept]
        self._state.select(rows)
        self._bias = self._bias[rows]
        return previous[rows]
