"""What the rows of one batch may write, and how much: their candidates over which a search runs, and their caps.

Knows the network's output layer and the shortlist; nothing of how hypotheses are searched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latimer_server.backends.base import DecodingOptions, TokenIds
from latimer_server.backends.marian_network import MarianNetwork
from latimer_server.backends.shortlist import Shortlist

END, UNKNOWN = 0, 1
# The training configuration's `max-length-factor`: no real output needs more (at most 1.61 was seen).
_MAX_LENGTH_RATIO = 2.5
_MIN_OUTPUT_TOKENS = 8
# Rows leave the batch once this share of it is finished; each leaving copies what stays.
COMPACT_SHARE = 0.2


@dataclass(frozen=True)
class OutputLayer:
    """The output layer of a batch. `candidates`: the union of its rows' ids [c], ascending, so that </s> is the
    first. `weights`: [d, c]. `bias`: [rows, c], -inf where a candidate is not the row's own, so that no row's
    output depends on its neighbours."""

    candidates: Tensor
    weights: Tensor
    bias: Tensor


def read_batch(batch: Sequence[TokenIds]) -> tuple[Tensor, Tensor]:
    """The rows' ids, padded to the longest, and their lengths."""
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in batch], batch_first=True)
    return padded, torch.tensor([len(row) for row in batch])


def output_layer(network: MarianNetwork, shortlist: Shortlist | None, batch: Sequence[TokenIds]) -> OutputLayer:
    """The output layer of the batch: of the rows' own shortlists, or of the whole vocabulary without one."""
    if shortlist is None:
        bias = network.output_bias.repeat(len(batch), 1)
        bias[:, UNKNOWN] = -torch.inf
        return OutputLayer(torch.arange(network.shape.target_vocabulary), network.embeddings.t(), bias)
    own = [shortlist.candidates(row) for row in batch]
    union = np.unique(np.concatenate(own))
    candidates = torch.from_numpy(union)
    bias = torch.full((len(batch), len(union)), -torch.inf)
    for row, ids in enumerate(own):
        bias[row, torch.from_numpy(np.searchsorted(union, ids))] = network.output_bias[ids]
    bias[:, union == UNKNOWN] = -torch.inf
    return OutputLayer(candidates, network.embeddings[candidates].t(), bias)


def output_cap(source_tokens: int, options: DecodingOptions) -> int:
    """The most tokens that a row may write, the end token not counted."""
    if options.max_length_ratio:
        cap = math.ceil(options.max_length_ratio * source_tokens)
    else:
        cap = max(_MIN_OUTPUT_TOKENS, math.ceil(_MAX_LENGTH_RATIO * source_tokens))
    return min(cap, options.max_output_tokens) if options.max_output_tokens else cap
