"""What computes a Marian student: reads the sources of a batch, then gives the scores of what may come next, step
by step. The searches know only this.

Knows no library: `marian_onnx` computes on the CPU, `marian_torch` on a GPU.
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

END, UNKNOWN = 0, 1
# Below the one a group costs as much as one of it; above the other its values outgrow a core's cache.
_LEAST_TOKENS, _MOST_TOKENS = 64, 512
# Padded tokens for each token.
_MOST_PADDING = 1.1


@dataclass(frozen=True)
class ShortlistCandidates:
    """What each row of a batch may write: its own shortlist, whatever stands beside it.

    `ids`: [rows, width], ascending, so that </s> is the first; filled up with </s>. `columns`: [rows, width], where
    each stands in `union`. `bias`: [rows, width], the output layer's, -inf where there is no candidate. `union`: the
    ids of all rows, ascending, each once.
    """

    ids: Ids
    columns: Ids
    bias: Floats
    union: Ids

    def select(self, rows: Ids) -> ShortlistCandidates:
        """Those of these rows."""
        return ShortlistCandidates(self.ids[rows], self.columns[rows], self.bias[rows], self.union)


@dataclass(frozen=True)
class GreedySteps:
    """What rows said in some steps: ids and log-probabilities [steps, rows], and the places of the rows that were kept.
    All others have ended."""

    chosen: Ids
    log_probs: Floats
    kept: Ids


class DecodingState(Protocol):
    """One batch on its way. A row is a source; it has as many hypotheses as were selected last, those of one row side
    by side, and one at the start."""

    @property
    def candidates(self) -> ShortlistCandidates:
        """What the rows that are left may write."""
        ...

    def step(self, previous: Ids | None, position: int) -> tuple[Floats, Floats]:
        """The logits [hypotheses, width] of each row's candidates after the `previous` id of each hypothesis (None at
        the start), and their log-probabilities."""
        ...

    def advance(self, previous: Ids | None, position: int, caps: Ids, most: int) -> GreedySteps:
        """Greedy steps from `position` on, of one hypothesis a row: at least one, at most `most`, and no more when
        every row has said </s> or is at the position that is its cap. From then on a row says nothing that counts."""
        ...

    def align(self) -> tuple[list[int], list[float]]:
        """The source position that each hypothesis looked at most in the last step, and the weight of it (0..1).

        That of the last layer's first head, which these models were taught to be the word alignment (marian-dev's
        `--guided-alignment`, facts.md section 2). Padding has no weight.
        """
        ...

    def select_hypotheses(self, hypotheses: Ids) -> None:
        """Goes on from these hypotheses, in this order; one may be taken several times."""
        ...

    def select_sources(self, rows: Ids) -> None:
        """Keeps only these sources; `select_hypotheses` must keep theirs."""
        ...


class Engine(Protocol):
    """A student's weights, and where they are computed with."""

    @property
    def shape(self) -> Architecture:
        """The sizes of the network."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights held."""
        ...

    @property
    def compute_type(self) -> str:
        """What the matrix products are computed in: `int8` or `float32`."""
        ...

    @property
    def output_bias(self) -> Floats:
        """The output layer's bias, one for each id."""
        ...

    def begin(self, batch: Sequence[TokenIds], candidates: ShortlistCandidates, *, aligned: bool) -> DecodingState:
        """Reads the sources of a batch. `aligned`: whether `align` will be asked."""
        ...


def choose_candidates(engine: Engine, shortlist: Shortlist | None, batch: Sequence[TokenIds]) -> ShortlistCandidates:
    """What the rows may write: their own shortlists, or the whole vocabulary without one. Never <unk>."""
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
    """These ids, ascending, each once, and the place there of each id below `size` that is one of them."""
    wanted = np.zeros(size, np.bool_)
    wanted[ids] = True
    union = np.flatnonzero(wanted)
    place_of = np.empty(size, np.int64)
    place_of[union] = np.arange(len(union))
    return union, place_of


def choose_likeliest(log_probs: Floats, ids: Ids) -> tuple[Ids, Floats]:
    """The likeliest of each row's ids [rows, width], and its log-probability."""
    rows, places = np.arange(len(ids)), log_probs.argmax(axis=1)
    return ids[rows, places], log_probs[rows, places]


def group_rows(lengths: Sequence[int]) -> list[list[int]]:
    """The rows in groups of about the same length, shortest first: what is read together is padded to the longest, and
    more than a few hundred tokens at a time gain nothing."""
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
    """The rows' ids [rows, longest], padded at their ends, and their lengths."""
    lengths = np.array([len(row) for row in batch], np.int32)
    padded = np.full((len(batch), int(lengths.max())), END, np.int64)
    for row, ids in enumerate(batch):
        padded[row, : len(ids)] = ids
    return padded, lengths


def sinusoids(count: int, dimension: int) -> Floats:
    """Positions [count, d]: the first half sin(p * e^(-i ln(10000) / (d/2 - 1))), the second half cos."""
    half = dimension // 2
    rates = np.exp(np.arange(half) * (-np.log(10_000) / max(half - 1, 1)))
    angles = np.arange(count)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
