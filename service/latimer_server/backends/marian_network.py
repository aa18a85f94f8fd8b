"""The Marian student network in torch: a transformer encoder and an SSRU decoder, float32.

Sources: Vaswani et al. 2017 (encoder, post-norm), Kim et al. 2019 (D19-5632, the SSRU), marian-dev
`src/models/transformer.h` (names and order of operations). Knows no vocabulary and no search.
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from latimer_server.backends.marian_file import MarianFile
from latimer_server.errors import ModelFileError

# Not in the file; 1e-5 to 1e-9 give the same text (facts.md section 2). Marian's own default.
_LAYER_NORM_EPSILON = 1e-6
_MAX_DIMENSION = 8_192
_MAX_DEPTH = 48
_MAX_VOCABULARY = 1_000_000

# What this network implements. A file that says otherwise is refused by name, never run wrongly.
_SUPPORTED: dict[str, Any] = {
    "type": "transformer",
    "dec-cell": "ssru",
    "transformer-decoder-autoreg": "rnn",
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": 2,
    "transformer-preprocess": "",
    "transformer-postprocess": "dan",
    "transformer-postprocess-top": "",
    "transformer-train-position-embeddings": False,
    "transformer-no-projection": False,
    "transformer-pool": False,
    "transformer-tied-layers": [],
    "tied-embeddings-all": True,
    "dec-cell-base-depth": 2,
    "layer-normalization": False,
    "lemma-dim-emb": 0,
    "input-types": [],
    "right-left": False,
    "ulr": False,
}


@dataclass(frozen=True)
class Shape:
    """The sizes that a model file gives in its own configuration."""

    dimension: int
    heads: int
    ffn_dimension: int
    encoder_depth: int
    decoder_depth: int
    vocabulary_size: int


def read_shape(config: dict[str, Any], file: str) -> Shape:
    """The sizes in `special:model.yml`. Raises `ModelFileError` for a network we do not implement."""
    for key, supported in _SUPPORTED.items():
        found = config.get(key, supported)
        if found != supported:
            raise ModelFileError(file, f"{key} is {reprlib.repr(found)}; supported is {supported!r}")
    vocabularies = config.get("dim-vocabs")
    if not isinstance(vocabularies, list) or len(vocabularies) != 2 or vocabularies[0] != vocabularies[1]:
        raise ModelFileError(file, f"dim-vocabs is {reprlib.repr(vocabularies)}; supported are two equal sizes")
    shape = Shape(
        dimension=_size(config, "dim-emb", _MAX_DIMENSION, file),
        heads=_size(config, "transformer-heads", _MAX_DIMENSION, file),
        ffn_dimension=_size(config, "transformer-dim-ffn", 4 * _MAX_DIMENSION, file),
        encoder_depth=_size(config, "enc-depth", _MAX_DEPTH, file),
        decoder_depth=_size(config, "dec-depth", _MAX_DEPTH, file),
        vocabulary_size=_size({"dim-vocabs": vocabularies[0]}, "dim-vocabs", _MAX_VOCABULARY, file),
    )
    if shape.dimension % shape.heads or shape.dimension % 2 or shape.dimension < 4:
        raise ModelFileError(file, f"dim-emb {shape.dimension} does not divide into {shape.heads} heads and sinusoids")
    return shape


def _size(config: dict[str, Any], key: str, most: int, file: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ModelFileError(file, f"{key} is {reprlib.repr(value)}; supported is 1 to {most}")
    return value


@dataclass(frozen=True)
class _Linear:
    weight: Tensor  # [out, in]
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class _Norm:
    scale: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.scale.shape, self.scale, self.bias, _LAYER_NORM_EPSILON)


@dataclass(frozen=True)
class _FeedForward:
    inner: _Linear
    outer: _Linear
    norm: _Norm

    def __call__(self, x: Tensor) -> Tensor:
        return self.norm(x + self.outer(torch.relu_(self.inner(x))))


@dataclass(frozen=True)
class _EncoderLayer:
    query_key_value: _Linear
    output: _Linear
    norm: _Norm
    feed_forward: _FeedForward


@dataclass(frozen=True)
class _DecoderLayer:
    cell: _Linear  # the SSRU's W and Wf as one, [2d, d]
    cell_norm: _Norm
    query: _Linear
    key_value: _Linear
    output: _Linear
    context_norm: _Norm
    feed_forward: _FeedForward


@dataclass
class DecoderState:
    """What a step needs of the steps before and of the source, per layer. Rows can be dropped.

    `cells`: [rows, d] each. `keys`: [rows, heads, d/heads, source]. `values`: [rows, heads, source,
    d/heads]. `mask`: [rows, 1, 1, source], added to the scores.
    """

    cells: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor

    def select(self, rows: Tensor) -> None:
        """Keeps only these rows, in this order."""
        self.cells = [cell[rows] for cell in self.cells]
        self.keys = [key[rows] for key in self.keys]
        self.values = [value[rows] for value in self.values]
        self.mask = self.mask[rows]


class MarianNetwork:
    """The weights and the two passes. Raises `ModelFileError` when `source` lacks a weight or has
    another size than its configuration says."""

    def __init__(self, source: MarianFile, file: str) -> None:
        self.shape = read_shape(source.config, file)
        load = _Loader(source, self.shape)
        self.embeddings = load.embeddings()
        self.output_bias = load.vector("decoder_ff_logit_out_b", self.shape.vocabulary_size)
        self._encoder = [load.encoder_layer(i + 1) for i in range(self.shape.encoder_depth)]
        self._decoder = [load.decoder_layer(i + 1) for i in range(self.shape.decoder_depth)]
        self.memory_bytes = load.bytes_loaded
        self._scale = math.sqrt(self.shape.dimension)

    def encode(self, ids: Tensor, lengths: Tensor) -> DecoderState:
        """Reads source ids [rows, source] (padded past `lengths`) and prepares the first decoder step."""
        rows, width = ids.shape
        heads, depth = self.shape.heads, self.shape.dimension // self.shape.heads
        blocked = torch.arange(width)[None, :] >= lengths[:, None]
        mask = torch.zeros(rows, width).masked_fill_(blocked, -torch.inf)[:, None, None, :]
        x = self.embeddings[ids].mul_(self._scale).add_(_sinusoids(0, width, self.shape.dimension))
        for layer in self._encoder:
            split = layer.query_key_value(x).view(rows, width, 3, heads, depth).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=mask)
            x = layer.norm(x + layer.output(attended.transpose(1, 2).reshape(rows, width, -1)))
            x = layer.feed_forward(x)
        keys, values = [], []
        for decoder_layer in self._decoder:
            split = decoder_layer.key_value(x).view(rows, width, 2, heads, depth)
            keys.append(split[:, :, 0].permute(0, 2, 3, 1).contiguous())
            values.append(split[:, :, 1].transpose(1, 2).contiguous())
        cells = [torch.zeros(rows, self.shape.dimension) for _ in self._decoder]
        return DecoderState(cells, keys, values, mask)

    def step(self, previous: Tensor | None, position: int, state: DecoderState) -> Tensor:
        """One decoder step over `previous` ids [rows] (None at the start): features [rows, d]."""
        rows = state.mask.shape[0]
        dimension, heads = self.shape.dimension, self.shape.heads
        depth = dimension // heads
        x = _sinusoids(position, 1, dimension).expand(rows, dimension)
        if previous is not None:
            x = self.embeddings[previous].mul_(self._scale).add_(x)
        for index, layer in enumerate(self._decoder):
            candidate, forget = layer.cell(x).chunk(2, dim=1)
            # f * c + (1 - f) * Wx, as one interpolation.
            cell = torch.lerp(candidate, state.cells[index], torch.sigmoid(forget))
            state.cells[index] = cell
            x = layer.cell_norm(x + torch.relu(cell))
            # Plain matmul and softmax: with one query row the fused attention is slower (facts.md section 1).
            query = layer.query(x).view(rows, heads, 1, depth)
            weights = torch.softmax(torch.matmul(query, state.keys[index]).add_(state.mask), dim=-1)
            attended = torch.matmul(weights, state.values[index]).view(rows, dimension)
            x = layer.feed_forward(layer.context_norm(x + layer.output(attended)))
        return x


class _Loader:
    """Builds layers from named items, counting the bytes it holds."""

    def __init__(self, source: MarianFile, shape: Shape) -> None:
        self._source = source
        self._shape = shape
        self.bytes_loaded = 0

    def vector(self, name: str, size: int) -> Tensor:
        return self._tensor(self._source.float_vector(name, size).copy())

    def embeddings(self) -> Tensor:
        matrix = self._source.matrix("Wemb", self._shape.vocabulary_size, self._shape.dimension, transposed=False)
        return self._tensor(matrix.dequantize())

    def encoder_layer(self, number: int) -> _EncoderLayer:
        attention = f"encoder_l{number}_self"
        return _EncoderLayer(
            query_key_value=self._attention_inputs(attention, "qkv", query_scale=1.0),
            output=self._linear(f"{attention}_Wo", f"{attention}_bo"),
            norm=self._norm(f"{attention}_Wo_ln"),
            feed_forward=self._feed_forward(f"encoder_l{number}_ffn"),
        )

    def decoder_layer(self, number: int) -> _DecoderLayer:
        cell, context, dimension = f"decoder_l{number}_rnn", f"decoder_l{number}_context", self._shape.dimension
        gates = [self._dequantized(f"{cell}_{w}", dimension, dimension) for w in ("W", "Wf")]
        forget_bias = self._source.float_vector(f"{cell}_bf", dimension)
        bias = np.concatenate([np.zeros(dimension, np.float32), forget_bias])
        # The attention's 1/sqrt(depth) is folded into the query, which saves a step its scaling.
        query_scale = 1 / math.sqrt(dimension // self._shape.heads)
        return _DecoderLayer(
            cell=_Linear(self._tensor(np.concatenate(gates)), self._tensor(bias)),
            cell_norm=self._norm(f"{cell}_ffn_ln"),
            query=self._attention_inputs(context, "q", query_scale=query_scale),
            key_value=self._attention_inputs(context, "kv", query_scale=1.0),
            output=self._linear(f"{context}_Wo", f"{context}_bo"),
            context_norm=self._norm(f"{context}_Wo_ln"),
            feed_forward=self._feed_forward(f"decoder_l{number}_ffn"),
        )

    def _attention_inputs(self, prefix: str, which: str, *, query_scale: float) -> _Linear:
        dimension = self._shape.dimension
        weights = [self._dequantized(f"{prefix}_W{w}", dimension, dimension) for w in which]
        biases = [self._source.float_vector(f"{prefix}_b{w}", dimension) for w in which]
        return _Linear(
            self._tensor(np.concatenate(weights) * np.float32(query_scale)),
            self._tensor(np.concatenate(biases) * np.float32(query_scale)),
        )

    def _feed_forward(self, prefix: str) -> _FeedForward:
        inner, outer = self._shape.ffn_dimension, self._shape.dimension
        return _FeedForward(
            inner=self._linear(f"{prefix}_W1", f"{prefix}_b1", outer, inner),
            outer=self._linear(f"{prefix}_W2", f"{prefix}_b2", inner, outer),
            norm=self._norm(f"{prefix}_ffn_ln"),
        )

    def _linear(self, weight: str, bias: str, rows: int | None = None, columns: int | None = None) -> _Linear:
        rows, columns = rows or self._shape.dimension, columns or self._shape.dimension
        return _Linear(self._tensor(self._dequantized(weight, rows, columns)), self.vector(bias, columns))

    def _norm(self, prefix: str) -> _Norm:
        dimension = self._shape.dimension
        return _Norm(self.vector(f"{prefix}_scale", dimension), self.vector(f"{prefix}_bias", dimension))

    def _dequantized(self, name: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
        return self._source.matrix(name, rows, columns, transposed=True).dequantize()

    def _tensor(self, values: npt.NDArray[np.float32]) -> Tensor:
        self.bytes_loaded += values.nbytes
        return torch.from_numpy(np.ascontiguousarray(values))


def _sinusoids(start: int, count: int, dimension: int) -> Tensor:
    """Positions [count, d]: the first half sin(p * e^(-i ln(10000) / (d/2 - 1))), the second half cos."""
    half = dimension // 2
    rates = torch.exp(torch.arange(half) * (-math.log(10_000) / max(half - 1, 1)))
    angles = torch.arange(start, start + count)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
