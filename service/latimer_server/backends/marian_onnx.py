"""Computes a Marian student on the CPU with ONNX Runtime: int8 products, one core for each batch.

Knows the graphs by their inputs and outputs only. Its sessions may be run from several threads at once, and leave the
interpreter to others meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from latimer_server.backends.base import TokenIds
from latimer_server.backends.marian_engine import (
    Candidates,
    Floats,
    Ids,
    choose_likeliest,
    group_rows,
    pad_batch,
    sinusoids,
)
from latimer_server.backends.marian_file import MarianFile
from latimer_server.backends.marian_graph import build_graphs
from latimer_server.backends.marian_operators import Levels
from latimer_server.backends.marian_shape import read_shape

# Longer outputs than this are possible only where a caller asks for them.
_POSITIONS = 512
_HALF_LEVELS = 63
_FED = np.ones(1, np.float32)


class OnnxEngine:
    """A student's sessions; an `Engine`. Raises `ModelFileError` for a file that is at fault.

    `levels`: how activations are quantised; None: not at all.
    """

    def __init__(self, source: MarianFile, file: str, levels: Levels | None) -> None:
        self.shape = read_shape(source.config, file)
        graphs = build_graphs(source, self.shape, levels)
        self.compute_type = graphs.compute_type
        self.memory_bytes = graphs.memory_bytes
        self.output_bias = graphs.output_bias
        self._source, self._target = graphs.source, graphs.target
        self._encoder, self._choice, self._weights = map(_start, (graphs.encoder, graphs.choice, graphs.weights))
        self._step = _start(graphs.step)
        self._positions = sinusoids(_POSITIONS, self.shape.dimension)
        self._whole: Any = None

    def begin(self, batch: Sequence[TokenIds], candidates: Candidates, *, aligned: bool) -> OnnxDecoding:
        """See `Engine.begin`."""
        lengths = np.array([len(row) for row in batch])
        rows, width = len(batch), int(lengths.max())
        heads, dimension = self.shape.heads, self.shape.dimension
        depth = dimension // heads
        mask = np.where(np.arange(width)[None, :] >= lengths[:, None], np.float32(-np.inf), np.float32(0))
        state = {
            "embeddings": self._target,
            "mask": mask[:, None, None, :],
            "weights": self._choose_weights(candidates),
        }
        for layer in range(1, self.shape.decoder_depth + 1):
            state[f"keys{layer}"] = np.zeros((rows, heads, depth, width), np.float32)
            state[f"values{layer}"] = np.zeros((rows, heads, width, depth), np.float32)
            state[f"cell{layer}"] = np.zeros((rows, dimension), np.float32)
        for group in group_rows(lengths.tolist()):
            read = self._read([batch[row] for row in group])
            for layer in range(1, self.shape.decoder_depth + 1):
                keys, values = read[2 * layer - 2 : 2 * layer]
                state[f"keys{layer}"][group, :, :, : keys.shape[3]] = keys
                state[f"values{layer}"][group, :, : values.shape[2]] = values
        return OnnxDecoding(self, state, candidates, aligned=aligned)

    def _read(self, batch: Sequence[TokenIds]) -> list[Any]:
        """Keys and values of these sources for each decoder layer."""
        ids, lengths = pad_batch(batch)
        rows, width = ids.shape
        heads, dimension = self.shape.heads, self.shape.dimension
        feeds = {
            "embeddings": self._source,
            "ids": ids,
            "positions": self.positions(width),
            "lengths": lengths,
            "shape3": np.array([rows, width, dimension]),
            "shape4": np.array([rows, width, heads, dimension // heads]),
        }
        read: list[Any] = self._encoder.run(None, feeds)
        return read

    def positions(self, count: int) -> Floats:
        """The first positions [count, d]."""
        if count > len(self._positions):
            return sinusoids(count, self.shape.dimension)
        return self._positions[:count]

    def run_step(self, outputs: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        """One step of the decoder."""
        results: list[Any] = self._step.run(outputs, feeds)
        return results

    def run_choice(self, outputs: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        """One step of the decoder, and of greedy search."""
        results: list[Any] = self._choice.run(outputs, feeds)
        return results

    def _choose_weights(self, candidates: Candidates) -> Any:  # noqa: ANN401 (int8 or float32)
        """The output layer's for these candidates. Those of the whole vocabulary are made once."""
        if len(candidates.union) < len(self.output_bias):
            return self._gather(candidates.union)
        if self._whole is None:
            self._whole = self._gather(candidates.union)
        return self._whole

    def _gather(self, ids: Ids) -> Any:  # noqa: ANN401
        return self._weights.run(None, {"embeddings": self._target, "candidates": ids})[0]


class OnnxDecoding:
    """One batch; a `Decoding`. `state`: the inputs of a step that stay, by their names."""

    def __init__(self, engine: OnnxEngine, state: dict[str, Any], candidates: Candidates, *, aligned: bool) -> None:
        self.candidates = candidates
        self._engine = engine
        self._state = state
        self._depth = engine.shape.decoder_depth
        cells = [f"next_cell{layer + 1}" for layer in range(self._depth)]
        self._kept = [*cells, *([f"attention{self._depth}"] if aligned else [])]
        self._attention: Floats | None = None
        self._state["fed"] = np.zeros(1, np.float32)

    def step(self, previous: Ids | None, position: int) -> Floats:
        """See `Decoding.step`."""
        self._feed(previous, position)
        rows, count = len(self._state["mask"]), len(self._state["cell1"])
        self._state["query_shape"] = self._shape_queries(rows, count // rows, self._engine.shape.heads)
        logits, peaks, *rest = self._engine.run_step(["logits", "peak", *self._kept], self._state)
        self._keep(rest)
        return self._read_logits(logits, peaks, rows)

    def choose(self, previous: Ids | None, position: int) -> tuple[Ids, Floats]:
        """See `Decoding.choose`."""
        candidates = self.candidates
        if candidates.columns is None:
            return choose_likeliest(self.step(previous, position), candidates.ids)
        self._feed(previous, position)
        self._state["query_shape"] = self._shape_queries(len(self._state["mask"]), self._engine.shape.heads, 1)
        feeds = {**self._state, "columns": candidates.columns, "ids": candidates.ids, "bias": candidates.bias}
        chosen, log_probs, *rest = self._engine.run_choice(["chosen", "log_probs", *self._kept], feeds)
        self._keep(rest)
        return chosen, log_probs

    def _feed(self, previous: Ids | None, position: int) -> None:
        """Puts the inputs of a step in place."""
        state = self._state
        if previous is not None:
            state["fed"] = _FED
        state["previous"] = np.zeros(len(state["cell1"]), np.int64) if previous is None else previous
        state["position"] = self._engine.positions(position + 1)[position:]

    def _shape_queries(self, *sizes: int) -> Ids:
        return np.array([*sizes, self._engine.shape.dimension // self._engine.shape.heads])

    def _keep(self, results: Sequence[Any]) -> None:
        """Takes what the next step needs of this one's results."""
        for layer in range(self._depth):
            self._state[f"cell{layer + 1}"] = results[layer]
        self._attention = results[self._depth] if len(results) > self._depth else None

    def align(self) -> tuple[list[int], list[float]]:
        """See `Decoding.align`."""
        assert self._attention is not None  # noqa: S101 (`begin` was told)
        weights = self._attention[:, 0].reshape(-1, self._attention.shape[-1])
        return weights.argmax(axis=1).tolist(), weights.max(axis=1).tolist()

    def select_hypotheses(self, hypotheses: Ids) -> None:
        """See `Decoding.select_hypotheses`."""
        for layer in range(self._depth):
            self._state[f"cell{layer + 1}"] = self._state[f"cell{layer + 1}"][hypotheses]

    def select_sources(self, rows: Ids) -> None:
        """See `Decoding.select_sources`."""
        self.candidates = self.candidates.select(rows)
        for name in ("mask", *(f"{kind}{layer + 1}" for kind in ("keys", "values") for layer in range(self._depth))):
            self._state[name] = self._state[name][rows]

    def _read_logits(self, logits: Floats, peaks: Floats, rows: int) -> Floats:
        """Those of each row's own candidates, of the union's."""
        columns, bias = self.candidates.columns, self.candidates.bias
        if len(logits) != rows:
            beams = len(logits) // rows
            bias = np.repeat(bias, beams, axis=0)
            columns = None if columns is None else np.repeat(columns, beams, axis=0)
        if columns is not None:
            starts = np.arange(0, logits.size, logits.shape[1])[:, None]
            logits = logits.reshape(-1).take(columns + starts)
        logits *= peaks
        logits += bias
        return logits


def choose_levels() -> Levels:
    """How activations must be quantised here. Processors that have no dot product of bytes add two products in 16
    bits and cut off what is more (Intel's VPMADDUBSW); whether this one does is tried out."""
    weight = np.full((4, 1), 127, np.int8)
    value = np.full((1, 4), 255, np.uint8)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    described = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4])
    graph = helper.make_graph(
        [node], "probe", [described], [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(weight, "w")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (product,) = _start(model).run(None, {"x": value})
    return Levels() if int(product[0, 0]) == 4 * 255 * 127 else Levels(_HALF_LEVELS)


def _start(model: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
