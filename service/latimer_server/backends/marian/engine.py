"""The interface between the searches and the engines of a Marian student, and the functions that engines share.

An engine encodes the sources of a batch, then scores the candidates of the next token, step by step. `onnx_engine`
computes on the CPU, `torch_engine` on a GPU. Imports no model library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.core.decoding import TokenIds

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# The ids of </s> and <unk> in the vocabulary of every student.
END, UNKNOWN = 0, 1
# The bounds on the padded tokens of a group of rows that are encoded together. A smaller group costs as much as one of
# the lower bound; the values of a larger one do not fit into a core's cache.
_LEAST_TOKENS, _MOST_TOKENS = 64, 512
# The maximum ratio of padded tokens to tokens in a group above the lower bound.
_MOST_PADDING = 1.1


@dataclass(frozen=True)
class ShortlistCandidates:
    """The output candidates of each row of a batch. Those of a row are its own shortlist, independent of the others.

    `ids` [rows, width] ascend, so that </s> is the first, and are padded with </s>. `columns` [rows, width] are their
    places in `union`. `bias` [rows, width] is that of the output layer, and -inf in the padding. `union` has the ids
    of all rows, ascending and without duplicates.
    """

    ids: Ids
    columns: Ids
    bias: Floats
    union: Ids

    def select(self, rows: Ids) -> ShortlistCandidates:
        """Returns the candidates of these rows, with the same `union`."""
        return ShortlistCandidates(self.ids[rows], self.columns[rows], self.bias[rows], self.union)


@dataclass(frozen=True)
class GreedySteps:
    """The result of some greedy steps: the `chosen` ids and their log-probabilities [steps, rows].

    `kept` are the indices of the rows that remain in the engine's arrays. All other rows have ended.
    """

    chosen: Ids
    log_probs: Floats
    kept: Ids


class DecodingState(Protocol):
    """The state of an engine for one batch between decoder steps.

    A row is a source. It starts with one hypothesis and later has as many as `select_hypotheses` gave it. The
    hypotheses of one row are adjacent.
    """

    @property
    def candidates(self) -> ShortlistCandidates:
        """The candidates of the rows that remain."""
        ...

    def step(self, previous: Ids | None, position: int) -> tuple[Floats, Floats]:
        """Computes one step after the `previous` id of each hypothesis (None at the start).

        Returns the logits [hypotheses, width] of the candidates of each hypothesis, and their log-probabilities.
        """
        ...

    def advance(self, previous: Ids | None, position: int, caps: Ids, most: int) -> GreedySteps:
        """Computes greedy steps from `position` on, with one hypothesis for each row.

        Runs at least one step and at most `most`. Stops when every row has written </s> or has reached its cap in
        `caps`. The output of a row after that has no meaning.
        """
        ...

    def align(self) -> tuple[list[int], list[float]]:
        """Returns the source position with the largest attention weight in the last step for each hypothesis, and
        that weight (0 to 1).

        Uses the first head of the last layer, which these models were trained to use as word alignment (marian-dev's
        `--guided-alignment`). Padding has no weight.
        """
        ...

    def select_hypotheses(self, hypotheses: Ids) -> None:
        """Replaces the hypotheses by those at these indices, in this order. An index may occur several times."""
        ...

    def select_sources(self, rows: Ids) -> None:
        """Keeps the sources at these indices only. The caller must also select their hypotheses."""
        ...


class Engine(Protocol):
    """The weights of a student and the library that computes with them."""

    @property
    def shape(self) -> Architecture:
        """The sizes of the network."""
        ...

    @property
    def memory_bytes(self) -> int:
        """The bytes of weights in memory."""
        ...

    @property
    def compute_type(self) -> str:
        """The type of the matrix products: `int8` or `float32`."""
        ...

    @property
    def output_bias(self) -> Floats:
        """The bias of the output layer [vocabulary]."""
        ...

    def begin(self, batch: Sequence[TokenIds], candidates: ShortlistCandidates, *, aligned: bool) -> DecodingState:
        """Encodes the sources of a batch and returns the state before the first step.

        `aligned` must be True if the caller will use `align`.
        """
        ...


def choose_candidates(engine: Engine, shortlist: Shortlist | None, batch: Sequence[TokenIds]) -> ShortlistCandidates:
    """Returns the candidates of each row: from the shortlist, or the whole vocabulary without one. Rules out <unk>."""
    bias, count = engine.output_bias, len(batch)
    if shortlist is None:
        everything = np.arange(len(bias), dtype=np.int64)
        own_bias = bias.copy()
        own_bias[UNKNOWN] = -np.inf
        ids = np.tile(everything, (count, 1))
        return ShortlistCandidates(ids, ids, np.tile(own_bias, (count, 1)), everything)
    if count == 1:
        only = shortlist.candidates(batch[0])
        own_bias = bias[only]
        own_bias[only == UNKNOWN] = -np.inf
        return ShortlistCandidates(only[None], np.arange(len(only))[None], own_bias[None], only)
    rows, found = shortlist.list_candidates(batch)
    counts = np.bincount(rows, minlength=count)
    width = int(counts.max())
    union, place_of = _unite(found, len(bias))
    places = rows * width + np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    ids, columns = np.full(count * width, END, np.int64), np.zeros(count * width, np.int64)
    own_bias = np.full(count * width, -np.inf, np.float32)
    ids[places] = found
    columns[places] = place_of[found]
    own_bias[places] = bias[found]
    own_bias[ids == UNKNOWN] = -np.inf
    shape = (count, width)
    return ShortlistCandidates(ids.reshape(shape), columns.reshape(shape), own_bias.reshape(shape), union)


def _unite(ids: Ids, size: int) -> tuple[Ids, Ids]:
    """Returns the ids, ascending and without duplicates, and an array [size] with the place of each id among them."""
    wanted = np.zeros(size, np.bool_)
    wanted[ids] = True
    union = np.flatnonzero(wanted)
    place_of = np.empty(size, np.int64)
    place_of[union] = np.arange(len(union))
    return union, place_of


def choose_likeliest(log_probs: Floats, ids: Ids) -> tuple[Ids, Floats]:
    """Returns the likeliest of each row's `ids` [rows, width] and its log-probability; both results are [rows]."""
    rows, places = np.arange(len(ids)), log_probs.argmax(axis=1)
    return ids[rows, places], log_probs[rows, places]


def group_rows(lengths: Sequence[int]) -> list[list[int]]:
    """Returns groups of row indices, given the length of each row: rows of similar length, shortest first.

    The rows of a group are padded to the longest. Groups of more than a few hundred tokens are no faster.
    """
    groups: list[list[int]] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups:
            padded = lengths[row] * (len(groups[-1]) + 1)
            small = padded <= _LEAST_TOKENS
            if small or (padded <= _MOST_TOKENS and padded <= _MOST_PADDING * (tokens + lengths[row])):
                groups[-1].append(row)
                tokens += lengths[row]
                continue
        groups.append([row])
        tokens = lengths[row]
    return groups


def pad_batch(batch: Sequence[TokenIds]) -> tuple[Ids, npt.NDArray[np.int32]]:
    """Returns the ids of the rows [rows, longest], padded at their ends with </s>, and their lengths [rows]."""
    lengths = np.array([len(row) for row in batch], np.int32)
    padded = np.full((len(batch), int(lengths.max())), END, np.int64)
    for row, ids in enumerate(batch):
        padded[row, : len(ids)] = ids
    return padded, lengths


def sinusoids(count: int, dimension: int) -> Floats:
    """Returns position embeddings [count, d]: sin(p * e^(-i ln(10000) / (d/2 - 1))) in the first half, then cos."""
    half = dimension // 2
    rates = np.exp(np.arange(half) * (-np.log(10_000) / max(half - 1, 1)))
    angles = np.arange(count)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
