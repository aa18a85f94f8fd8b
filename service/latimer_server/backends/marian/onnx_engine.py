"""Computes a Marian student on the CPU with ONNX Runtime: int8 products, one core for each batch.

Knows the graphs by their inputs and outputs only. Its sessions may be run from several threads at once, and leave the
interpreter to others meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

# Longer outputs than this are possible only where a caller asks for them.
_POSITIONS = 512
_HALF_LEVELS = 63


class OnnxEngine:
    """A student's sessions; an `Engine`. Raises `ModelFileError` for a file that is at fault.

    `levels`: how activations are quantised; None: not at all.
    """

    def __init__(self, source: MarianFile, file: str, levels: QuantizationLevels | None) -> None:
        self.shape = read_architecture(source.config, file)
        self.head_size = self.shape.dimension // self.shape.heads
        graphs = build_graphs(source, self.shape, levels)
        self.compute_type = graphs.compute_type
        self.memory_bytes = graphs.memory_bytes
        self.output_bias = graphs.output_bias
        self._source, self.target = graphs.source, graphs.target
        self._encoder, self._search, self._weights = map(_start, (graphs.encoder, graphs.search, graphs.weights))
        self._step = _start(graphs.step)
        self._positions = sinusoids(_POSITIONS, self.shape.dimension)
        self._read_names = [f"{kind}{n + 1}" for n in range(self.shape.decoder_depth) for kind in ("keys", "values")]
        self._whole: Any = None

    def begin(self, batch: Sequence[TokenIds], candidates: ShortlistCandidates, *, aligned: bool) -> OnnxDecodingState:
        """See `Engine.begin`."""
        width = max(map(len, batch))
        if len(batch) == 1:  # nothing to put together
            ids, mask = np.array([batch[0]], np.int64), np.zeros((1, 1, 1, width), np.float32)
            read = dict(zip(self._read_names, self._read(ids, mask, width), strict=True))
            return OnnxDecodingState(self, {"mask": mask} | read, candidates, aligned=aligned)
        lengths = [len(row) for row in batch]
        state: dict[str, Any] = {"mask": _mask(np.array(lengths), width)}
        groups = group_rows(lengths)
        parts = [self._read_group([batch[row] for row in group], width) for group in groups]
        order = [row for group in groups for row in group]
        for name, *found in zip(self._read_names, *parts, strict=True):
            state[name] = found[0] if len(found) == 1 else np.concatenate(found)
            if order != list(range(len(batch))):
                state[name] = state[name][np.argsort(order)]
        return OnnxDecodingState(self, state, candidates, aligned=aligned)

    def _read_group(self, batch: Sequence[TokenIds], width: int) -> list[Any]:
        ids, lengths = pad_batch(batch)
        return self._read(ids, _mask(lengths, ids.shape[1]), width)

    def _read(self, ids: Ids, mask: Floats, width: int) -> list[Any]:
        """Keys and values of these sources for each decoder layer, as wide as the batch that they are of."""
        rows, own_width = ids.shape
        feeds = {
            "embeddings": self._source,
            "ids": ids,
            "positions": self.positions(own_width),
            "mask": mask,
            "shape": np.array([rows, own_width, self.shape.heads, self.head_size]),
            "missing": np.array([width - own_width]),
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
        return np.full(count, len(self.target) - 1)

    def run_step(self, outputs: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        """One step of the decoder."""
        results: list[Any] = self._step.run(outputs, feeds)
        return results

    def run_search(self, outputs: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        """Steps of the decoder with the choices of greedy search."""
        results: list[Any] = self._search.run(outputs, feeds)
        return results

    def choose_weights(self, candidates: ShortlistCandidates) -> Any:  # noqa: ANN401 (int8 or float32)
        """The output layer's for these candidates. Those of the whole vocabulary are made once."""
        if len(candidates.union) < len(self.output_bias):
            return self._gather(candidates.union)
        if self._whole is None:
            self._whole = self._gather(candidates.union)
        return self._whole

    def _gather(self, ids: Ids) -> Any:  # noqa: ANN401
        return self._weights.run(None, {"embeddings": self.target, "candidates": ids})[0]


class OnnxDecodingState:
    """One batch; a `DecodingState`. `state`: what each row's source is for a step, by name.

    The arrays of all rows stay as they are; which of them are left is a list of places, and the graphs take those.
    So little is done in the interpreter, which may be another thread's: to have it back takes time.
    """

    def __init__(
        self, engine: OnnxEngine, state: dict[str, Any], candidates: ShortlistCandidates, *, aligned: bool
    ) -> None:
        self._engine = engine
        self._state = state
        self._all = candidates
        self._aligned = aligned
        self._depth = engine.shape.decoder_depth
        self._rows = np.arange(len(candidates.ids))  # of all, those that are left
        self._kept: Ids | None = None  # the places of the hypotheses that go on among the cells, where not all do
        self._cells = [np.zeros((len(self._rows), engine.shape.dimension), np.float32) for _ in range(self._depth)]
        self._own: tuple[int, ShortlistCandidates, dict[str, Any]] | None = (
            None  # what `step` takes of those that are left
        )
        self._attention: Floats | None = None
        self._weights: Any = None  # of the output layer, for `step`

    @property
    def candidates(self) -> ShortlistCandidates:
        """See `DecodingState.candidates`."""
        return self._select_own()[0]

    def step(self, previous: Ids | None, position: int) -> tuple[Floats, Floats]:
        """See `DecodingState.step`."""
        engine, depth = self._engine, self._depth
        if self._weights is None:
            self._weights = engine.choose_weights(self._all)
        rows, count = len(self._rows), self._count()
        feeds = dict(self._select_own()[1])
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
        """See `DecodingState.advance`. By the searching graph, but where the alignment is asked for: that takes a step at a
        time."""
        engine, rows = self._engine, np.arange(len(self._rows))
        if self._aligned:
            _, log_probs = self.step(previous, position)
            chosen, best = choose_likeliest(log_probs, self.candidates.ids)
            return GreedySteps(chosen[None], best[None], rows)
        all_caps = np.zeros(len(self._all.ids), np.int64)
        all_caps[self._rows] = caps
        feeds = self._state | {
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
        found, log_probs, left, *self._cells = engine.run_search(outputs, feeds)
        self._rows = self._rows[left]
        self._kept = None
        return GreedySteps(found, log_probs, left)

    def align(self) -> tuple[list[int], list[float]]:
        """See `DecodingState.align`."""
        assert self._attention is not None  # noqa: S101 (`begin` was told)
        weights = self._attention[:, 0].reshape(-1, self._attention.shape[-1])
        return weights.argmax(axis=1).tolist(), weights.max(axis=1).tolist()

    def select_hypotheses(self, hypotheses: Ids) -> None:
        """See `DecodingState.select_hypotheses`."""
        self._kept = hypotheses if self._kept is None else self._kept[hypotheses]

    def select_sources(self, rows: Ids) -> None:
        """See `DecodingState.select_sources`."""
        self._rows = self._rows[rows]
        self._own = None

    def _count(self) -> int:
        return len(self._cells[0]) if self._kept is None else len(self._kept)

    def _select_own(self) -> tuple[ShortlistCandidates, dict[str, Any]]:
        """The candidates of the rows that are left, and what a step takes of those, for as many hypotheses as there
        are now."""
        count = self._count()
        if self._own is None or self._own[0] != count:
            chosen = self._all.select(self._rows)
            own = {name: value[self._rows] for name, value in self._state.items()}
            beams = count // len(self._rows)
            columns = np.repeat(chosen.columns, beams, axis=0)
            # The places of each hypothesis' own among the scores of all [union, hypotheses].
            own["picks"] = (columns * count + np.arange(count)[:, None]).reshape(-1)
            own["own_shape"] = np.array(columns.shape)
            own["bias"] = np.repeat(chosen.bias, beams, axis=0)
            self._own = count, chosen, own
        return self._own[1:]


def _mask(lengths: npt.NDArray[np.integer[Any]], width: int) -> Floats:
    """What is added to the scores of source positions [rows, 1, 1, width]: -inf past a row's end."""
    past = np.arange(width) >= lengths[:, None]
    return np.where(past, np.float32(-np.inf), np.float32(0))[:, None, None, :]


def choose_quantization_levels() -> QuantizationLevels:
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
    return QuantizationLevels() if int(product[0, 0]) == 4 * 255 * 127 else QuantizationLevels(_HALF_LEVELS)


def _start(model: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Both remember sizes of batches, of which there is no end: memory grew by a fifth in five minutes of real load.
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
