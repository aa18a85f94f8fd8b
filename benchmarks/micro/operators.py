"""Compares the operators of a student's ONNX graphs with alternatives: `python -m benchmarks.micro.operators`.

Prints microseconds on one core; the operators take turns, and figures are medians of several rounds. The operators are:
the norm after an addition, the attention of encoders, the product of rounded rows, and the output layer for a batch's
candidates with either factor first. The choice of the graphs is in bold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from rich.console import Console
from rich.table import Table

from benchmarks.micro.sessions import RUNTIME_DOMAIN, start_session, time_in_turns
from latimer_server.backends.marian.onnx_runtime import onnxruntime

_SIZE, _HEADS = 256, 8
_DEPTH = _SIZE // _HEADS
_REPEATS = 8  # copies of the operator in a graph, so that the cost of a call of the graph is negligible
_ROUNDS = 7
_SECONDS = 0.02

Feeds = Mapping[str, np.ndarray[Any, Any]]
Build = Callable[[str, str], list[NodeProto]]


def start(build: Build, feeds: Feeds, constants: Mapping[str, Any]) -> onnxruntime.InferenceSession:
    """Starts a session of a graph with several copies of an operator. `build`: returns the nodes of one copy, given a
    prefix for names and the name of the output."""
    nodes = [node for number in range(_REPEATS) for node in build(f"t{number}_", f"y{number}")]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
        for name, value in feeds.items()
    ]
    outputs = [f"y{number}" for number in range(_REPEATS)]
    # An optimized graph would compute the equal copies once.
    return start_session(nodes, inputs, outputs, constants, optimized=False)


def compare(sessions: Sequence[onnxruntime.InferenceSession], feeds: Feeds) -> list[float]:
    """Returns microseconds of one operator of each session, measured in turns. Raises AssertionError if the results
    differ by more than rounding."""
    first, *others = (session.run(None, dict(feeds))[0] for session in sessions)
    for other in others:
        np.testing.assert_allclose(other.reshape(first.shape), first, rtol=1e-3, atol=1e-3)
    return _time_operators(sessions, feeds)


def _time_operators(sessions: Sequence[onnxruntime.InferenceSession], feeds: Feeds) -> list[float]:
    runs = [partial(session.run, None, dict(feeds)) for session in sessions]
    return [1e6 * seconds / _REPEATS for seconds in time_in_turns(runs, _ROUNDS, _SECONDS)]


def compare_norms(rows: int) -> list[float]:
    """Compares SkipLayerNormalization with an addition and LayerNormalization."""
    draw = np.random.default_rng(1)
    feeds = {name: draw.normal(size=(rows, _SIZE)).astype(np.float32) for name in "xa"}
    constants = {name: draw.normal(size=_SIZE).astype(np.float32) for name in "gb"}
    node = helper.make_node
    ways: list[Build] = [
        lambda _, y: [node("SkipLayerNormalization", ["x", "a", "g", "b"], [y], domain=RUNTIME_DOMAIN, epsilon=1e-6)],
        lambda t, y: [
            node("Add", ["x", "a"], [f"{t}s"]),
            node("LayerNormalization", [f"{t}s", "g", "b"], [y], epsilon=1e-6),
        ],
    ]
    return compare([start(way, feeds, constants) for way in ways], feeds)


def compare_attention(rows: int, width: int) -> list[float]:
    """Compares MultiHeadAttention with its single operators."""
    draw = np.random.default_rng(1)
    lengths = np.maximum(1, width - np.arange(rows) % 4).astype(np.int32)
    mask = np.where(np.arange(width) >= lengths[:, None], np.float32(-np.inf), np.float32(0))
    feeds: dict[str, np.ndarray[Any, Any]] = {
        name: draw.normal(size=(rows * width, _SIZE)).astype(np.float32) for name in "qkv"
    }
    # In the graphs the scaling factor is part of the weights of the query.
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
            node("MultiHeadAttention", inputs, [f"{t}o"], domain=RUNTIME_DOMAIN, num_heads=_HEADS),
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
    """Compares features times weights, which are packed for each product, with weights times features."""
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
            node("MatMulIntegerToFloat", ["x", "w", "s", "s", "z"], [f"{t}p"], domain=RUNTIME_DOMAIN),
            node("Identity", [f"{t}p"], [y]),
        ],
        lambda t, y: [
            node("MatMulIntegerToFloat", ["wb", "xt", "s", "s", "z"], [f"{t}p"], domain=RUNTIME_DOMAIN),
            node("Identity", [f"{t}p"], [y]),
        ],
    ]
    sessions = [start(way, feeds, constants) for way in ways]
    straight, turned = (session.run(None, dict(feeds))[0] for session in sessions)
    np.testing.assert_allclose(turned.T, straight, rtol=1e-4)
    return _time_operators(sessions, feeds)


def compare_products(rows: int) -> list[float]:
    """Compares MatMulNBits of eight bits, which rounds rows itself, with rounding by rows and an int8 product."""
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
        lambda _, y: [node("MatMulNBits", ["x", "p", "us", "", "", "b"], [y], domain=RUNTIME_DOMAIN, **sizes)],
        lambda t, y: [
            node("Abs", ["x"], [f"{t}a"]),
            node("ReduceMax", [f"{t}a"], [f"{t}p"], axes=[-1], keepdims=1),
            node("Div", ["x", f"{t}p"], [f"{t}d"]),
            node("QuantizeLinear", [f"{t}d", "s", "z"], [f"{t}q"]),
            node("MatMulIntegerToFloat", [f"{t}q", "w", f"{t}p", "u", "z"], [f"{t}m"], domain=RUNTIME_DOMAIN),
            node("Add", [f"{t}m", "b"], [y]),
        ],
    ]
    return compare([start(way, feeds, constants) for way in ways], feeds)


def main() -> None:
    """Prints the table."""
    table = Table(title="microseconds of an operator on one core")
    for heading in ("operator: alternative, ours", "sizes", "alternative", "ours", "times"):
        table.add_column(heading, justify="left" if heading.startswith("operator") else "right")
    cases: list[tuple[str, str, list[float]]] = [
        *(("SkipLayerNormalization, Add and LayerNormalization", f"{n} rows", compare_norms(n)) for n in (1, 32, 400)),
        *(
            ("MultiHeadAttention, its parts", f"{rows} x {width}", compare_attention(rows, width))
            for rows, width in ((1, 7), (1, 25), (12, 25))
        ),
        *(("MatMulNBits, product by rows", f"{n} rows", compare_products(n)) for n in (1, 8, 32, 400)),
        *(
            ("features x weights, weights x features", f"{rows} x {count}", compare_output(rows, count))
            for rows, count in ((1, 300), (1, 900), (16, 5000), (32, 9400))
        ),
    ]
    for operator, sizes, (alternative, ours) in cases:
        speedup = f"{alternative / ours:.2f}"
        table.add_row(operator, sizes, f"{alternative:.1f}", f"[bold]{ours:.1f}[/bold]", speedup)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
