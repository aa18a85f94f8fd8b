"""The engine of Marian students on ONNX Runtime: computes on the CPU, with int8 products and one core for each batch.

It uses the graphs of `onnx_graph` through their inputs and outputs. Several threads may run its sessions at once; a
run releases the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper, numpy_helper

from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine import (
    Floats,
    GreedySteps,
    Ids,
    ShortlistCandidates,
    choose_likeliest,
    group_rows,
    pad_batch,
    sinusoids,
)
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.onnx_graph import build_graphs
from latimer_server.backends.marian.onnx_runtime import onnxruntime
from latimer_server.backends.marian.weights import QuantizationLevels
from latimer_server.core.decoding import TokenIds

# The number of position embeddings that are computed in advance. Longer outputs need an explicit request of a caller.
_POSITIONS = 512
# The largest quantised activation in seven bits.
_HALF_LEVELS = 63

# An input or output of an ONNX graph, which defines its dtype and shape; and the inputs of one run by name.
Array = npt.NDArray[Any]
Feeds = dict[str, Array]


class _Session(Protocol):
    """The method of ONNX Runtime's `InferenceSession` that this module calls. The library has no types."""

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]: ...


class OnnxEngine:
    """The `Engine` that runs a student's ONNX graphs with ONNX Runtime. Raises `ModelFileError` naming a bad file.

    `levels` are the quantisation levels of activations. None means computation in float32.
    """

    def __init__(self, source: MarianFile, file: str, levels: QuantizationLevels | None) -> None:
        self.shape = read_architecture(source.config, file)
        self.head_size = self.shape.dimension // self.shape.heads
        graphs = build_graphs(source, self.shape, levels)
        self.compute_type = graphs.compute_type
        self.memory_bytes = graphs.memory_bytes
        self.output_bias = graphs.output_bias
        self._source, self.target = graphs.source, graphs.target
        self._encoder: _Session = _start(graphs.encoder)
        self._search: _Session = _start(graphs.search)
        self._weights: _Session = _start(graphs.weights)
        self._step: _Session = _start(graphs.step)
        self._positions = sinusoids(_POSITIONS, self.shape.dimension)
        self._memory_names = [f"{kind}{n + 1}" for n in range(self.shape.decoder_depth) for kind in ("keys", "values")]
        self._whole_weights: Array | None = None

    def begin(self, batch: Sequence[TokenIds], candidates: ShortlistCandidates, *, aligned: bool) -> OnnxDecodingState:
        """See `Engine.begin`."""
        width = max(map(len, batch))
        state: Feeds
        if len(batch) == 1:  # needs no groups
            ids, mask = np.array([batch[0]], np.int64), np.zeros((1, 1, 1, width), np.float32)
            state = {"mask": mask, **dict(zip(self._memory_names, self._encode(ids, mask, width), strict=True))}
            return OnnxDecodingState(self, state, candidates, aligned=aligned)
        lengths = [len(row) for row in batch]
        state = {"mask": _mask(np.array(lengths), width)}
        groups = group_rows(lengths)
        parts = [self._encode_group([batch[row] for row in group], width) for group in groups]
        order = [row for group in groups for row in group]
        for name, *arrays in zip(self._memory_names, *parts, strict=True):
            state[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
            if order != list(range(len(batch))):
                state[name] = state[name][np.argsort(order)]
        return OnnxDecodingState(self, state, candidates, aligned=aligned)

    def _encode_group(self, batch: Sequence[TokenIds], width: int) -> list[Array]:
        ids, lengths = pad_batch(batch)
        return self._encode(ids, _mask(lengths, ids.shape[1]), width)

    def _encode(self, ids: Ids, mask: Floats, width: int) -> list[Array]:
        """Returns the keys and values of these sources for each decoder layer, padded to the width of the batch."""
        rows, group_width = ids.shape
        feeds: Feeds = {
            "embeddings": self._source,
            "ids": ids,
            "positions": self.positions(group_width),
            "mask": mask,
            "shape": np.array([rows, group_width, self.shape.heads, self.head_size]),
            "missing": np.array([width - group_width]),
        }
        return self._encoder.run(None, feeds)

    def positions(self, count: int) -> Floats:
        """Returns the embeddings [count, d] of the first `count` positions."""
        if count > len(self._positions):
            return sinusoids(count, self.shape.dimension)
        return self._positions[:count]

    def nothing(self, count: int) -> Ids:
        """Returns the `previous` ids [count] of the first step. Their embedding is zero: only the position counts."""
        return np.full(count, len(self.target) - 1)

    def run_step(self, outputs: Sequence[str], feeds: Feeds) -> list[Array]:
        """Runs the graph of one decoder step on these inputs, and returns the named outputs."""
        return self._step.run(outputs, feeds)

    def run_search(self, outputs: Sequence[str], feeds: Feeds) -> list[Array]:
        """Runs the graph of several greedy steps on these inputs, and returns the named outputs."""
        return self._search.run(outputs, feeds)

    def choose_weights(self, candidates: ShortlistCandidates) -> Array:
        """Returns the output layer's weights [union, d] of the candidates. Keeps those of the whole vocabulary."""
        if len(candidates.union) < len(self.output_bias):
            return self._gather(candidates.union)
        if self._whole_weights is None:
            self._whole_weights = self._gather(candidates.union)
        return self._whole_weights

    def _gather(self, ids: Ids) -> Array:
        return self._weights.run(None, {"embeddings": self.target, "candidates": ids})[0]


class OnnxDecodingState:
    """A `DecodingState` of one batch. `state` has the mask, keys and values of all rows, by the graphs' input names.

    These arrays never shrink. The active rows are a list of indices, and the graphs gather them. That keeps the work
    in the interpreter small, where a thread may wait for the lock.
    """

    def __init__(self, engine: OnnxEngine, state: Feeds, candidates: ShortlistCandidates, *, aligned: bool) -> None:
        self._engine = engine
        self._state = state
        self._all = candidates
        self._aligned = aligned
        self._depth = engine.shape.decoder_depth
        self._rows = np.arange(len(candidates.ids))  # the indices of the active rows among all
        self._kept: Ids | None = None  # the hypotheses that continue, as indices into the cells; None: all
        self._cells: list[Array] = [
            np.zeros((len(self._rows), engine.shape.dimension), np.float32) for _ in range(self._depth)
        ]
        # The result of `_select_active`, with the number of hypotheses that it is for; None after a change of rows.
        self._active: tuple[int, ShortlistCandidates, Feeds] | None = None
        self._attention: Floats | None = None
        self._weights: Array | None = None  # of the output layer; None until the first `step`

    @property
    def candidates(self) -> ShortlistCandidates:
        """See `DecodingState.candidates`."""
        return self._select_active()[0]

    def step(self, previous: Ids | None, position: int) -> tuple[Floats, Floats]:
        """See `DecodingState.step`."""
        engine, depth = self._engine, self._depth
        if self._weights is None:
            self._weights = engine.choose_weights(self._all)
        rows, count = len(self._rows), self._count()
        feeds = dict(self._select_active()[1])
        feeds["embeddings"], feeds["weights"] = engine.target, self._weights
        feeds["query_shape"] = np.array([rows, count // rows, engine.shape.heads, engine.head_size])
        feeds["position"] = engine.positions(position + 1)[position]
        feeds["previous"] = engine.nothing(count) if previous is None else previous
        for layer, cell in enumerate(self._cells):
            feeds[f"cell{layer + 1}"] = cell if self._kept is None else cell[self._kept]
        outputs = ["logits", "log_probs", *(f"next_cell{layer + 1}" for layer in range(depth))]
        if self._aligned:
            outputs.append(f"attention{depth}")
        logits, log_probs, *rest = engine.run_step(outputs, feeds)
        self._cells, self._kept = rest[:depth], None
        self._attention = rest[depth] if self._aligned else None
        return logits, log_probs

    def advance(self, previous: Ids | None, position: int, caps: Ids, most: int) -> GreedySteps:
        """See `DecodingState.advance`. Runs the graph of greedy search, or a single step if the alignment is needed."""
        engine, rows = self._engine, np.arange(len(self._rows))
        if self._aligned:
            _, log_probs = self.step(previous, position)
            chosen, best = choose_likeliest(log_probs, self.candidates.ids)
            return GreedySteps(chosen[None], best[None], rows)
        all_caps = np.zeros(len(self._all.ids), np.int64)
        all_caps[self._rows] = caps
        feeds: Feeds = {
            **self._state,
            "embeddings": engine.target,
            "candidates": self._all.union,
            "positions": engine.positions(position + most),
            "ids": self._all.ids,
            "columns": self._all.columns,
            "bias": self._all.bias,
            "caps": all_caps,
            "rows": self._rows,
            "previous": engine.nothing(len(rows)) if previous is None else previous,
            "at": np.array(position),
            "most": np.array(most),
        }
        for layer, cell in enumerate(self._cells):
            feeds[f"cell{layer + 1}"] = cell if self._kept is None else cell[self._kept]
        outputs = ["chosen", "log_probs", "left", *(f"last_cell{layer + 1}" for layer in range(self._depth))]
        ids, log_probs, left, *self._cells = engine.run_search(outputs, feeds)
        self._rows = self._rows[left]
        self._kept = None
        return GreedySteps(ids, log_probs, left)

    def align(self) -> tuple[list[int], list[float]]:
        """See `DecodingState.align`."""
        assert self._attention is not None  # noqa: S101 (`begin` was called with `aligned`)
        weights = self._attention[:, 0].reshape(-1, self._attention.shape[-1])
        return weights.argmax(axis=1).tolist(), weights.max(axis=1).tolist()

    def select_hypotheses(self, hypotheses: Ids) -> None:
        """See `DecodingState.select_hypotheses`."""
        self._kept = hypotheses if self._kept is None else self._kept[hypotheses]

    def select_sources(self, rows: Ids) -> None:
        """See `DecodingState.select_sources`."""
        self._rows = self._rows[rows]
        self._active = None

    def _count(self) -> int:
        return len(self._cells[0]) if self._kept is None else len(self._kept)

    def _select_active(self) -> tuple[ShortlistCandidates, Feeds]:
        """Returns the candidates of the active rows, and the step graph's inputs that change only with these."""
        count = self._count()
        if self._active is None or self._active[0] != count:
            chosen = self._all.select(self._rows)
            feeds = {name: value[self._rows] for name, value in self._state.items()}
            beams = count // len(self._rows)
            columns = np.repeat(chosen.columns, beams, axis=0)
            # The indices of each hypothesis' candidates in the flat scores [union, hypotheses].
            feeds["picks"] = (columns * count + np.arange(count)[:, None]).reshape(-1)
            feeds["own_shape"] = np.array(columns.shape)
            feeds["bias"] = np.repeat(chosen.bias, beams, axis=0)
            self._active = count, chosen, feeds
        return self._active[1:]


def _mask(lengths: npt.NDArray[np.int64] | npt.NDArray[np.int32], width: int) -> Floats:
    """Returns the mask [rows, 1, 1, width] that is added to attention scores: -inf past the end of a row."""
    past = np.arange(width) >= lengths[:, None]
    return np.where(past, np.float32(-np.inf), np.float32(0))[:, None, None, :]


def choose_quantization_levels() -> QuantizationLevels:
    """Returns the quantisation levels for this processor: eight bits, or seven where eight overflow.

    Processors without a dot product of bytes add two products in 16 bits and saturate (Intel's VPMADDUBSW). A trial
    product shows whether this one does.
    """
    weight = np.full((4, 1), 127, np.int8)
    value = np.full((1, 4), 255, np.uint8)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    described = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4])
    graph = helper.make_graph(
        [node], "probe", [described], [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(weight, "w")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (product,) = _start(model).run(None, {"x": value})
    return QuantizationLevels() if int(product[0, 0]) == 4 * 255 * 127 else QuantizationLevels(_HALF_LEVELS)


def _start(model: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Both cache by the shapes of batches, which vary without end: memory grew by a fifth in five minutes of load.
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
