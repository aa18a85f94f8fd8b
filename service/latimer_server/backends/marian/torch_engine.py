"""The engine of Marian students in torch: a transformer encoder and an SSRU decoder in float32.

Sources: Vaswani et al. 2017 (encoder, post-norm), Kim et al. 2019 (D19-5632, the SSRU), marian-dev
`src/models/transformer.h` (names and order of operations). It serves GPUs. On the CPU `onnx_engine` is several times
as fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from latimer_server.backends.marian.architecture import Architecture, read_architecture
from latimer_server.backends.marian.engine import Floats, GreedySteps, Ids, ShortlistCandidates, pad_batch, sinusoids
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.core.decoding import TokenIds
from latimer_server.core.errors import ModelError

# Marian's default; the file does not contain it. Values from 1e-5 to 1e-9 give the same text.
_LAYER_NORM_EPSILON = 1e-6


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
    cell: _Linear  # the SSRU's W and Wf as one matrix [2d, d]
    cell_norm: _Norm
    query: _Linear
    key_value: _Linear
    output: _Linear
    context_norm: _Norm
    feed_forward: _FeedForward


@dataclass
class DecoderState:
    """The decoder's input from the source and from the steps before. Lists have one tensor for each layer.

    A row is a source. Every row has the same number of hypotheses, which are adjacent. `cells`: [rows * hypotheses,
    d]. `keys`: [rows, heads, d/heads, source]. `values`: [rows, heads, source, d/heads]. `mask`: [rows, 1, 1,
    source], added to the scores. `attention`: [rows, heads, hypotheses, source], the attention weights of the last
    layer in the last step.
    """

    cells: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor
    attention: Tensor

    def select_hypotheses(self, hypotheses: Tensor) -> None:
        """Replaces the hypotheses by those at these indices, in this order. An index may occur several times."""
        self.cells = [cell[hypotheses] for cell in self.cells]

    def select_sources(self, rows: Tensor) -> None:
        """Keeps the sources at these indices only. The caller must also select their hypotheses."""
        self.keys = [key[rows] for key in self.keys]
        self.values = [value[rows] for value in self.values]
        self.mask = self.mask[rows]


class MarianNetwork:
    """The network of a student in torch: its weights, the encoder's pass and the decoder's step.

    `embeddings` are those of the target; the output layer uses them too. `device` is a device name of torch. Raises
    `ModelFileError` if `source` lacks a weight, or if a weight has another size than the configuration says.
    """

    def __init__(self, source: MarianFile, file: str, device: str = "cpu") -> None:
        self.shape = read_architecture(source.config, file)
        self.device = torch.device(device)
        load = _Loader(source, self.shape, self.device)
        if self.shape.shared:
            self.embeddings = self.source_embeddings = load.embeddings("Wemb", self.shape.target_vocabulary)
        else:
            self.source_embeddings = load.embeddings("encoder_Wemb", self.shape.source_vocabulary)
            self.embeddings = load.embeddings("decoder_Wemb", self.shape.target_vocabulary)
        self.output_bias = load.vector("decoder_ff_logit_out_b", self.shape.target_vocabulary)
        self._encoder = [load.encoder_layer(i + 1) for i in range(self.shape.encoder_depth)]
        self._decoder = [load.decoder_layer(i + 1) for i in range(self.shape.decoder_depth)]
        self.memory_bytes = load.bytes_loaded
        self._scale = math.sqrt(self.shape.dimension)

    def encode(self, ids: Tensor, lengths: Tensor) -> DecoderState:
        """Encodes source ids [rows, source], padded past `lengths` [rows]. Returns the state before the first step."""
        rows, width = ids.shape
        heads, depth = self.shape.heads, self.shape.dimension // self.shape.heads
        blocked = torch.arange(width, device=self.device)[None, :] >= lengths[:, None]
        mask = torch.zeros(rows, width, device=self.device).masked_fill_(blocked, -torch.inf)[:, None, None, :]
        x = self.source_embeddings[ids].mul_(self._scale).add_(self._positions(0, width))
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
        cells = [torch.zeros(rows, self.shape.dimension, device=self.device) for _ in self._decoder]
        return DecoderState(cells, keys, values, mask, torch.zeros_like(mask))

    def step(self, previous: Tensor | None, position: int, state: DecoderState) -> Tensor:
        """Runs one decoder step after the `previous` id of each hypothesis (None at the start).

        Returns the features [rows * hypotheses, d] and changes `state` to that after the step.
        """
        rows, count = state.mask.shape[0], state.cells[0].shape[0]
        dimension, heads = self.shape.dimension, self.shape.heads
        depth, beams = dimension // heads, count // rows
        x = self._positions(position, 1).expand(count, dimension)
        if previous is not None:
            x = self.embeddings[previous].mul_(self._scale).add_(x)
        for index, layer in enumerate(self._decoder):
            candidate, forget = layer.cell(x).chunk(2, dim=1)
            # Computes f * c + (1 - f) * Wx as one interpolation.
            cell = torch.lerp(candidate, state.cells[index], torch.sigmoid(forget))
            state.cells[index] = cell
            x = layer.cell_norm(x + torch.relu(cell))
            # Plain matmul and softmax: the fused attention is slower with one query per hypothesis.
            query = layer.query(x).view(rows, beams, heads, depth).transpose(1, 2)
            weights = torch.softmax(torch.matmul(query, state.keys[index]).add_(state.mask), dim=-1)
            attended = torch.matmul(weights, state.values[index]).transpose(1, 2).reshape(count, dimension)
            x = layer.feed_forward(layer.context_norm(x + layer.output(attended)))
        state.attention = weights  # `align` reduces it, so that steps without alignment pay nothing
        return x

    def _positions(self, start: int, count: int) -> Tensor:
        return torch.from_numpy(sinusoids(start + count, self.shape.dimension)[start:]).to(self.device)


class TorchEngine:
    """The `Engine` that computes a student with torch on `device`. All runs must come from one thread.

    Every thread that has run torch keeps a team of OpenMP threads, which slows down the others. Raises
    `ModelFileError` naming a bad file, and `ModelError` if torch has no such device.
    """

    compute_type = "float32"

    def __init__(self, source: MarianFile, file: str, device: str) -> None:
        if torch.device(device).type == "cuda" and not torch.cuda.is_available():
            raise ModelError("there is no GPU that torch can use; set `device` to cpu or auto")
        self.network = MarianNetwork(source, file, device)
        self.shape = self.network.shape
        self.memory_bytes = self.network.memory_bytes
        self.output_bias: Floats = self.network.output_bias.cpu().numpy()

    def begin(self, batch: Sequence[TokenIds], candidates: ShortlistCandidates, *, aligned: bool) -> TorchDecodingState:  # noqa: ARG002
        """See `Engine.begin`."""
        device = self.network.device
        ids, lengths = (torch.from_numpy(values).to(device) for values in pad_batch(batch))
        with torch.inference_mode():
            return TorchDecodingState(self.network, self.network.encode(ids, lengths), candidates)


class TorchDecodingState:
    """The `DecodingState` of one batch in torch."""

    def __init__(self, network: MarianNetwork, state: DecoderState, candidates: ShortlistCandidates) -> None:
        self.candidates = candidates
        self._network = network
        self._state = state
        self._weights = network.embeddings[self._send(candidates.union)]
        self._place_candidates()

    def step(self, previous: Ids | None, position: int) -> tuple[Floats, Floats]:
        """See `DecodingState.step`."""
        with torch.inference_mode():
            logits = self._score(previous, position)
            return logits.cpu().numpy(), torch.log_softmax(logits, dim=1).cpu().numpy()

    def advance(self, previous: Ids | None, position: int, caps: Ids, most: int) -> GreedySteps:  # noqa: ARG002
        """See `DecodingState.advance`. Runs one step. Only the chosen ids and their scores leave the device."""
        with torch.inference_mode():
            best, places = torch.log_softmax(self._score(previous, position), dim=1).max(dim=1)
            chosen, rows = places.cpu().numpy(), np.arange(len(places))
            return GreedySteps(self.candidates.ids[rows, chosen][None], best[None].cpu().numpy(), rows)

    def _score(self, previous: Ids | None, position: int) -> Tensor:
        last = None if previous is None else self._send(previous)
        features = self._network.step(last, position, self._state)
        logits = (features @ self._weights.t()).view(len(self._bias), -1, len(self._weights))
        logits = logits.gather(2, self._columns[:, None, :].expand(-1, logits.shape[1], -1))
        return (logits + self._bias[:, None, :]).flatten(0, 1)

    def align(self) -> tuple[list[int], list[float]]:
        """See `DecodingState.align`."""
        weights, places = self._state.attention[:, 0].flatten(0, 1).max(dim=1)
        return places.tolist(), weights.tolist()

    def select_hypotheses(self, hypotheses: Ids) -> None:
        """See `DecodingState.select_hypotheses`."""
        with torch.inference_mode():
            self._state.select_hypotheses(self._send(hypotheses))

    def select_sources(self, rows: Ids) -> None:
        """See `DecodingState.select_sources`."""
        self.candidates = self.candidates.select(rows)
        with torch.inference_mode():
            self._state.select_sources(self._send(rows))
        self._place_candidates()

    def _place_candidates(self) -> None:
        candidates = self.candidates
        self._columns, self._bias = self._send(candidates.columns), self._send(candidates.bias)

    def _send(self, values: Ids | Floats) -> Tensor:
        return torch.from_numpy(values).to(self._network.device)


class _Loader:
    """Builds the layers of the network from the items of a model file, in float32, and counts their bytes."""

    def __init__(self, source: MarianFile, shape: Architecture, device: torch.device) -> None:
        self._source = source
        self._shape = shape
        self._device = device
        self.bytes_loaded = 0

    def vector(self, name: str, size: int) -> Tensor:
        return self._tensor(self._source.float_vector(name, size).copy())

    def embeddings(self, name: str, vocabulary: int) -> Tensor:
        return self._tensor(self._source.embeddings(name, vocabulary, self._shape.dimension))

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
        # The query's weights include the attention's factor 1/sqrt(d/heads), which saves one operation in each step.
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
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)
