"""The operators of a student's graphs beside others that compute the same: `python -m benchmarks.micro.operators`.

Prints microseconds on one core, in turns, the median of several rounds: norms with what is added before them, the
attention of encoders, products of rows that are rounded before them, and the output layer of a batch's candidates with
either side first. What the graphs have is in bold.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

from latimer_server.backends.marian.onnx_runtime import onnxruntime

_SIZE, _HEADS = 256, 8
_DEPTH = _SIZE // _HEADS
_REPEATS = 8  # of the operator in a graph, so that a call of the graph costs next to nothing
_ROUNDS = 7
_SECONDS = 0.02
_RUNTIME = "com.microsoft"

Feeds = Mapping[str, np.ndarray[Any, Any]]
Build = Callable[[str, str], list[NodeProto]]


def start(build: Build, feeds: Feeds, constants: Mapping[str, Any]) -> onnxruntime.InferenceSession:
    """A graph with an operator several times over. `build`: its nodes, given a prefix for names and the output's."""
    nodes = [node for number in range(_REPEATS) for node in build(f"t{number}_", f"y{number}")]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
        for name, value in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(f"y{number}") for number in range(_REPEATS)]
    found = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "operators", inputs, outputs, found)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_RUNTIME, 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Or what is there several times over would be computed once.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def compare(sessions: Sequence[onnxruntime.InferenceSession], feeds: Feeds) -> list[float]:
    """Microseconds of one operator of each, in turns. All must give the same, but for rounding."""
    first, *others = (session.run(None, dict(feeds))[0] for session in sessions)
    for other in others:
        np.testing.assert_allclose(other.reshape(first.shape), first, rtol=1e-3, atol=1e-3)
    rounds = [[_measure(session, feeds) for session in sessions] for _ in range(_ROUNDS)]
    return [1e6 * statistics.median(times) / _REPEATS for times in zip(*rounds, strict=True)]


def _measure(session: onnxruntime.InferenceSession, feeds: Feeds) -> float:
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < _SECONDS:
        session.run(None, dict(feeds))
        calls += 1
    return (time.perf_counter() - started) / calls


def compare_norms(rows: int) -> list[float]:
    """SkipLayerNormalization; an addition and LayerNormalization."""
    draw = np.random.default_rng(1)
    feeds = {name: draw.normal(size=(rows, _SIZE)).astype(np.float32) for name in "xa"}
    constants = {name: draw.normal(size=_SIZE).astype(np.float32) for name in "gb"}
    node = helper.make_node
    ways: list[Build] = [
        lambda _, y: [node("SkipLayerNormalization", ["x", "a", "g", "b"], [y], domain=_RUNTIME, epsilon=1e-6)],
        lambda t, y: [
            node("Add", ["x", "a"], [f"{t}s"]),
            node("LayerNormalization", [f"{t}s", "g", "b"], [y], epsilon=1e-6),
        ],
    ]
    return compare([start(way, feeds, constants) for way in ways], feeds)


def compare_attention(rows: int, width: int) -> list[float]:
    """MultiHeadAttention; its parts one by one."""
    draw = np.random.default_rng(1)
    lengths = np.maximum(1, width - np.arange(rows) % 4).astype(np.int32)
    mask = np.where(np.arange(width) >= lengths[:, None], np.float32(-np.inf), np.float32(0))
    feeds: dict[str, np.ndarray[Any, Any]] = {
        name: draw.normal(size=(rows * width, _SIZE)).astype(np.float32) for name in "qkv"
    }
    # In the graphs the factor is a part of the query's weights.
    feeds |= {"lengths": lengths, "mask": mask[:, None, None, :], "scaled": feeds["q"] * np.float32(_DEPTH**-0.5)}
    constants = {
        "three": np.array([rows, width, _SIZE]),
        "four": np.array([rows, width, _HEADS, _DEPTH]),
        "flat": np.array([-1, _SIZE]),
    }
    node = helper.make_node

    def whole(t: str, y: str) -> list[NodeProto]:
        shaped = [node("Reshape", [name, "three"], [f"{t}{name}"]) for name in "qkv"]
        inputs = [*(f"{t}{name}" for name in "qkv"), "", "lengths"]
        return [
            *shaped,
            node("MultiHeadAttention", inputs, [f"{t}o"], domain=_RUNTIME, num_heads=_HEADS),
            node("Reshape", [f"{t}o", "flat"], [y]),
        ]

    def parts(t: str, y: str) -> list[NodeProto]:
        shaped = [node("Reshape", ["scaled" if name == "q" else name, "four"], [f"{t}{name}"]) for name in "qkv"]
        orders = {"q": [0, 2, 1, 3], "k": [0, 2, 3, 1], "v": [0, 2, 1, 3]}
        return [
            *shaped,
            *(node("Transpose", [f"{t}{name}"], [f"{t}{name}t"], perm=order) for name, order in orders.items()),
            node("MatMul", [f"{t}qt", f"{t}kt"], [f"{t}s"]),
            node("Add", [f"{t}s", "mask"], [f"{t}m"]),
            node("Softmax", [f"{t}m"], [f"{t}w"], axis=-1),
            node("MatMul", [f"{t}w", f"{t}vt"], [f"{t}o"]),
            node("Transpose", [f"{t}o"], [f"{t}ot"], perm=[0, 2, 1, 3]),
            node("Reshape", [f"{t}ot", "flat"], [y]),
        ]

    return compare([start(way, feeds, constants) for way in (whole, parts)], feeds)


def compare_output(rows: int, candidates: int) -> list[float]:
    """Features times weights, which are packed for each product; weights times features."""
    draw = np.random.default_rng(1)
    weights = draw.integers(-127, 128, (candidates, _SIZE)).astype(np.int8)
    values = draw.integers(-127, 128, (rows, _SIZE)).astype(np.int8)
    feeds = {
        "w": np.ascontiguousarray(weights.T),
        "x": (values.astype(np.int16) + 128).astype(np.uint8),
        "wb": (weights.astype(np.int16) + 128).astype(np.uint8),
        "xt": np.ascontiguousarray(values.T),
    }
    constants = {"s": np.float32(0.01), "z": np.uint8(128)}
    node = helper.make_node
    ways: list[Build] = [
        lambda t, y: [
            node("MatMulIntegerToFloat", ["x", "w", "s", "s", "z"], [f"{t}p"], domain=_RUNTIME),
            node("Identity", [f"{t}p"], [y]),
        ],
        lambda t, y: [
            node("MatMulIntegerToFloat", ["wb", "xt", "s", "s", "z"], [f"{t}p"], domain=_RUNTIME),
            node("Identity", [f"{t}p"], [y]),
        ],
    ]
    sessions = [start(way, feeds, constants) for way in ways]
    straight, turned = (session.run(None, dict(feeds))[0] for session in sessions)
    np.testing.assert_allclose(turned.T, straight, rtol=1e-4)
    rounds = [[_measure(session, feeds) for session in sessions] for _ in range(_ROUNDS)]
    return [1e6 * statistics.median(times) / _REPEATS for times in zip(*rounds, strict=True)]


def compare_products(rows: int) -> list[float]:
    """MatMulNBits of eight bits, which rounds rows itself; a product whose rows are rounded before it."""
    draw = np.random.default_rng(1)
    weights = draw.integers(-127, 128, (_SIZE, _SIZE)).astype(np.int8)
    feeds = {"x": draw.normal(size=(rows, _SIZE)).astype(np.float32)}
    packed = (weights.T.astype(np.int16) + 128).astype(np.uint8).reshape(_SIZE, 1, _SIZE)
    constants = {
        "w": weights,
        "p": packed,
        "u": np.float32(0.01 / 127),
        "us": np.full((_SIZE, 1), 0.01, np.float32),
        "s": np.float32(1 / 127),
        "z": np.uint8(128),
        "b": draw.normal(size=_SIZE).astype(np.float32),
    }
    node = helper.make_node
    sizes: dict[str, Any] = {"K": _SIZE, "N": _SIZE, "bits": 8, "block_size": _SIZE, "accuracy_level": 4}
    ways: list[Build] = [
        lambda _, y: [node("MatMulNBits", ["x", "p", "us", "", "", "b"], [y], domain=_RUNTIME, **sizes)],
        lambda t, y: [
            node("Abs", ["x"], [f"{t}a"]),
            node("ReduceMax", [f"{t}a"], [f"{t}p"], axes=[-1], keepdims=1),
            node("Div", ["x", f"{t}p"], [f"{t}d"]),
            node("QuantizeLinear", [f"{t}d", "s", "z"], [f"{t}q"]),
            node("MatMulIntegerToFloat", [f"{t}q", "w", f"{t}p", "u", "z"], [f"{t}m"], domain=_RUNTIME),
            node("Add", [f"{t}m", "b"], [y]),
        ],
    ]
    return compare([start(way, feeds, constants) for way in ways], feeds)


def main() -> None:
    """Prints the table."""
    table = Table(title="microseconds of an operator on one core")
    for heading in ("what", "sizes", "the other way", "ours", "times"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    cases: list[tuple[str, str, list[float]]] = [
        *(("Add and LayerNormalization, SkipLayerNormalization", f"{n} rows", compare_norms(n)) for n in (1, 32, 400)),
        *(
            ("attention in parts, MultiHeadAttention", f"{rows} x {width}", compare_attention(rows, width))
            for rows, width in ((1, 7), (1, 25), (12, 25))
        ),
        *(("product by rows, MatMulNBits", f"{n} rows", compare_products(n)) for n in (1, 8, 32, 400)),
        *(
            ("weights x features, features x weights", f"{rows} x {count}", compare_output(rows, count))
            for rows, count in ((1, 300), (1, 900), (16, 5000), (32, 9400))
        ),
    ]
    for what, sizes, (other, own) in cases:
        table.add_row(what, sizes, f"{other:.1f}", f"[bold]{own:.1f}[/bold]", f"{other / own:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
