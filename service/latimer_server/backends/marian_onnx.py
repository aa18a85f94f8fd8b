"""Computes a Marian student on the CPU with ONNX Runtime: int8 products, one core for each batch.

Knows the graphs by their inputs and outputs only. Its sessions may be run from several threads at once, and leave the
interpreter to others meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
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
        self._encoder, self._search, self._weights = map(_start, (graphs.encoder, graphs.search, graphs.weights))
        self._step = _start(graphs.step)
        self._positions = sinusoids(_POSITIONS, self.shape.dimension)
        self._whole: Any = None

    def begin(self, batch: Sequence[TokenIds], candidates: Candidates, *, aligned: bool) -> OnnxDecoding:
        """See `Engine.begin`."""
        lengths = np.array([len(row) for row in batch])
        rows, width = len(batch), int(lengths.max())
        heads, dimension = self.shape.heads, self.shape.dimension
        depth = dimension // heads
        state = {
            "embeddings": self._target,
            "mask": _mask(lengths, width),
            "weights": self._choose_weights(candidates),
        }
        for layer in range(1, self.shape.decoder_depth + 1):
            state[f"keys{layer}"] = np.zeros((rows, heads, depth, width), np.float32)
            state[f"values{layer}"] = np.zeros((rows, heads, width, depth), np.float32)
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
            "mask": _mask(lengths, width),
            "shape": np.array([rows, width, heads, dimension // heads]),
        }
        read: list[Any] = self._encoder.run(None, feeds)
        return read

    def positions(self, count: int) -> Floats:
        """The first positions [count, d]."""
        if count > len(self._positions):
            return sinusoids(count, self.shape.dimension)
        return self._positions[:count]

    def nothing(self, count: int) -> Ids:
        """What comes before the first token: an id whose embedding is zero, so that only its position counts."""
        return np.full(count, len(self._target) - 1)

    def run_step(self, outputs: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        """One step of the decoder."""
        results: list[Any] = self._step.run(outputs, feeds)
        return results

    def run_search(self, outputs: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        """Steps of the decoder with the choices of greedy search."""
        results: list[Any] = self._search.run(outputs, feeds)
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
        self._aligned = aligned
        depth = engine.shape.decoder_depth
        self._cells = [np.zeros((len(candidates.ids), engine.shape.dimension), np.float32) for _ in range(depth)]
        self._attention: Floats | None = None
        self._place_candidates()

    def step(self, previous: Ids | None, position: int) -> tuple[Floats, Floats]:
        """See `Decoding.step`."""
        state, rows, count = self._state, len(self._state["mask"]), len(self._cells[0])
        if count * self.candidates.ids.shape[1] != len(state["picks"]):
            self._place_candidates(count // rows)
        heads, depth = self._engine.shape.heads, len(self._cells)
        state["query_shape"] = np.array([rows, count // rows, heads, self._engine.shape.dimension // heads])
        own: dict[str, Any] = {f"cell{layer + 1}": cell for layer, cell in enumerate(self._cells)}
        own["position"] = self._engine.positions(position + 1)[position]
        own["previous"] = self._engine.nothing(count) if previous is None else previous
        outputs = ["logits", "log_probs", *(f"next_cell{layer + 1}" for layer in range(depth))]
        if self._aligned:
            outputs.append(f"attention{depth}")
        logits, log_probs, *rest = self._engine.run_step(outputs, {**state, **own})
        self._cells = rest[:depth]
        self._attention = rest[depth] if self._aligned else None
        return logits, log_probs

    def advance(self, previous: Ids | None, position: int, caps: Ids, enough: int, most: int) -> tuple[Ids, Floats]:
        """See `Decoding.advance`."""
        if self._aligned:
            _, log_probs = self.step(previous, position)
            chosen, best = choose_likeliest(log_probs, self.candidates.ids)
            return chosen[None], best[None]
        state, engine, rows = self._state, self._engine, len(self._cells[0])
        heads, depth = engine.shape.heads, len(self._cells)
        state["query_shape"] = np.array([rows, heads, 1, engine.shape.dimension // heads])
        own: dict[str, Any] = {f"first_cell{layer + 1}": cell for layer, cell in enumerate(self._cells)}
        own["positions"] = engine.positions(position + most)
        own["start"] = np.array(position)
        own["ids"], own["caps"] = self.candidates.ids, caps
        own["most_steps"], own["enough"] = np.array(most), np.array(enough, np.float32)
        own["first_previous"] = engine.nothing(rows) if previous is None else previous
        own["first_done"] = caps < position
        outputs = ["chosen", "all_log_probs", *(f"last_cell{layer + 1}" for layer in range(depth))]
        chosen, log_probs, *self._cells = engine.run_search(outputs, {**state, **own})
        return chosen, log_probs

    def align(self) -> tuple[list[int], list[float]]:
        """See `Decoding.align`."""
        assert self._attention is not None  # noqa: S101 (`begin` was told)
        weights = self._attention[:, 0].reshape(-1, self._attention.shape[-1])
        return weights.argmax(axis=1).tolist(), weights.max(axis=1).tolist()

    def select_hypotheses(self, hypotheses: Ids) -> None:
        """See `Decoding.select_hypotheses`."""
        self._cells = [cell[hypotheses] for cell in self._cells]

    def select_sources(self, rows: Ids) -> None:
        """See `Decoding.select_sources`."""
        self.candidates = self.candidates.select(rows)
        for name in self._state:
            if name == "mask" or name.startswith(("keys", "values")):
                self._state[name] = self._state[name][rows]
        self._place_candidates()

    def _place_candidates(self, beams: int = 1) -> None:
        """Where the candidates of each hypothesis stand among the scores of all [union, hypotheses]."""
        columns, bias = self.candidates.columns, self.candidates.bias
        if columns is None:
            columns = np.broadcast_to(np.arange(bias.shape[1]), bias.shape)
        if beams > 1:
            columns, bias = np.repeat(columns, beams, axis=0), np.repeat(bias, beams, axis=0)
        count = len(bias)
        self._state["picks"] = (columns * count + np.arange(count)[:, None]).reshape(-1)
        self._state["own_shape"] = np.array(bias.shape)
        self._state["bias"] = bias


def _mask(lengths: npt.NDArray[np.integer[Any]], width: int) -> Floats:
    """What is added to the scores of source positions [rows, 1, 1, width]: -inf past a row's end."""
    past = np.arange(width) >= lengths[:, None]
    return np.where(past, np.float32(-np.inf), np.float32(0))[:, None, None, :]


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
