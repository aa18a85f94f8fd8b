"""The backend for Marian students (Firefox Translations): files to tokens, greedy search, text.

Knows the network only through `MarianNetwork`, and nothing of requests. These models were distilled
for greedy search, so that is what it does (facts.md section 2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import Tensor

from latimer_server.backends.base import (
    Cancelled,
    DecodingOptions,
    Encoding,
    Hypothesis,
    LanguagePair,
    Limits,
    TokenIds,
)
from latimer_server.backends.marian_file import MarianFile
from latimer_server.backends.marian_network import MarianNetwork
from latimer_server.backends.shortlist import Shortlist
from latimer_server.errors import ModelFileError

_END, _UNKNOWN = 0, 1
_ANY = LanguagePair()
# Firefox wraps sentences at 128 tokens, and so were these models trained.
_MAX_INPUT_TOKENS = 128
# The training configuration's `max-length-factor`: no real output needs more (at most 1.61 was seen).
_MAX_LENGTH_RATIO = 2.5
_MIN_OUTPUT_TOKENS = 8
# Larger batches gain nothing: the union of the rows' candidates outgrows what a row saves.
_MAX_BATCH_ROWS = 32
_MAX_BATCH_TOKENS = 1_536
# Rows leave the batch once this share of it is finished; each leaving copies what stays.
_COMPACT_SHARE = 0.2


def load_backend(files: Mapping[str, Path], threads: int) -> MarianStudent:
    """Reads `model`, `vocabulary` and, where there is one, `shortlist`; `threads` cores run one batch.

    Raises `ModelFileError` naming the file at fault.
    """
    torch.set_num_threads(threads)
    model_path, vocabulary_path = files["model"], files["vocabulary"]
    network = MarianNetwork(MarianFile(_read(model_path), model_path.name), model_path.name)
    size = network.shape.vocabulary_size
    shortlist = None
    if "shortlist" in files:
        shortlist = Shortlist(_read(files["shortlist"]), size, files["shortlist"].name)
    vocabulary = sentencepiece.SentencePieceProcessor()
    try:
        vocabulary.LoadFromSerializedProto(_read(vocabulary_path))
    except (RuntimeError, OSError) as error:
        raise ModelFileError(vocabulary_path.name, "is no SentencePiece model") from error
    if vocabulary.GetPieceSize() != size:
        raise ModelFileError(
            vocabulary_path.name,
            f"has {vocabulary.GetPieceSize()} pieces, the model {size}: they do not belong together",
        )
    if vocabulary.eos_id() != _END or vocabulary.unk_id() != _UNKNOWN:
        raise ModelFileError(vocabulary_path.name, f"has </s> and <unk> elsewhere than at {_END} and {_UNKNOWN}")
    return MarianStudent(network, vocabulary, shortlist)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(path.name, f"cannot be read: {error.strerror}") from error


class MarianStudent:
    """A loaded student; a `GeneratorBackend`."""

    compute_type = "float32"
    limits = Limits(_MAX_INPUT_TOKENS, _MAX_BATCH_TOKENS, _MAX_BATCH_ROWS)

    def __init__(
        self,
        network: MarianNetwork,
        vocabulary: sentencepiece.SentencePieceProcessor,
        shortlist: Shortlist | None,
    ) -> None:
        self._network = network
        self._vocabulary = vocabulary
        self._shortlist = shortlist
        self.memory_bytes = network.memory_bytes

    def encode(self, texts: Sequence[str], languages: LanguagePair = _ANY) -> list[Encoding]:  # noqa: ARG002
        """See `GeneratorBackend.encode`. Without </s> at its end a source is translated badly."""
        rows: list[list[int]] = self._vocabulary.encode(list(texts), out_type=int)
        return [Encoding((*ids, _END), ids.count(_UNKNOWN)) for ids in rows]

    def token_starts(self, text: str) -> list[int]:
        """See `GeneratorBackend.token_starts`."""
        mapping = self._vocabulary.encode(text, return_type="offset_mapping")
        return [start for start, _ in mapping["offsets"]]

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """See `GeneratorBackend.decode`."""
        texts: list[str] = self._vocabulary.decode([list(row) for row in ids])
        return texts

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """See `GeneratorBackend.run`. Greedy; a row's candidates are its own shortlist, whatever its batch."""
        if not batch:
            return []
        with torch.inference_mode():
            return _Search(self._network, self._shortlist, batch, options).run(cancelled)


class _Search:
    """Greedy search over one batch: which rows are left, what each has said so far."""

    def __init__(
        self,
        network: MarianNetwork,
        shortlist: Shortlist | None,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
    ) -> None:
        self._network = network
        self._caps = [_output_cap(len(row), options) for row in batch]
        self._ids: list[list[int]] = [[] for _ in batch]
        self._log_probs = [0.0] * len(batch)
        self._finished = [False] * len(batch)  # said </s> by itself
        self._stopped = [False] * len(batch)  # that, or reached its cap
        self._rows = list(range(len(batch)))  # the batch row behind each row of the tensors
        lengths = torch.tensor([len(row) for row in batch])
        padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in batch], batch_first=True)
        self._state = network.encode(padded, lengths)
        self._candidates, self._bias = _output_layer(network, shortlist, batch)
        self._weights = network.embeddings[self._candidates].t()

    def run(self, cancelled: Cancelled) -> list[Hypothesis]:
        previous: Tensor | None = None
        for position in range(max(self._caps) + 1):
            features = self._network.step(previous, position, self._state)
            logits = torch.addmm(self._bias, features, self._weights)
            best, columns = logits.max(dim=1)
            log_probs = (best - torch.logsumexp(logits, dim=1)).tolist()
            previous = self._candidates[columns]
            keep = self._record(previous.tolist(), log_probs)
            if not any(keep) or cancelled():
                break
            if len(keep) - sum(keep) >= _COMPACT_SHARE * len(keep):
                previous = self._drop(keep, previous)
        return [
            Hypothesis(tuple(ids), log_prob, truncated=not finished)
            for ids, log_prob, finished in zip(self._ids, self._log_probs, self._finished, strict=True)
        ]

    def _record(self, ids: list[int], log_probs: list[float]) -> list[bool]:
        """Appends a step's tokens; says which tensor rows go on. A row that has stopped may stay in the
        tensors for some steps yet: what it says there is nothing."""
        for row, token, log_prob in zip(self._rows, ids, log_probs, strict=True):
            if self._stopped[row]:
                continue
            if token == _END:
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


def _output_cap(source_tokens: int, options: DecodingOptions) -> int:
    if options.max_length_ratio:
        cap = math.ceil(options.max_length_ratio * source_tokens)
    else:
        cap = max(_MIN_OUTPUT_TOKENS, math.ceil(_MAX_LENGTH_RATIO * source_tokens))
    return min(cap, options.max_output_tokens) if options.max_output_tokens else cap


def _output_layer(
    network: MarianNetwork, shortlist: Shortlist | None, batch: Sequence[TokenIds]
) -> tuple[Tensor, Tensor]:
    """The union of the rows' candidates [c], and each row's bias over it [rows, c]: -inf where a
    candidate is not the row's own, so that no row's output depends on its neighbours."""
    if shortlist is None:
        bias = network.output_bias.repeat(len(batch), 1)
        bias[:, _UNKNOWN] = -torch.inf
        return torch.arange(network.shape.vocabulary_size), bias
    own = [shortlist.candidates(row) for row in batch]
    union = np.unique(np.concatenate(own))
    candidates = torch.from_numpy(union)
    bias = torch.full((len(batch), len(union)), -torch.inf)
    for row, ids in enumerate(own):
        bias[row, torch.from_numpy(np.searchsorted(union, ids))] = network.output_bias[ids]
    bias[:, union == _UNKNOWN] = -torch.inf
    return candidates, bias
