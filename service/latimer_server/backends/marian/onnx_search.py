"""Builds greedy search over a Marian student as one ONNX graph: a loop over steps, inside a loop over stretches.

A stretch is a run of steps with the same rows. The search needs no interpreter lock. Otherwise the threads of two
cores would wait for each other at every step.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from latimer_server.backends.marian.engine import END
from latimer_server.backends.marian.length_cap import COMPACT_SHARE
from latimer_server.backends.marian.onnx_layers import Names, decode, describe, describe_table, score
from latimer_server.backends.marian.onnx_operators import Graph
from latimer_server.backends.marian.weights import EmbeddingTable, Weights


def build_search(weights: Weights, table: EmbeddingTable) -> ModelProto:
    """Builds the graph of greedy search. It runs decoder steps until every row has ended, but at most `most`.

    Sizes: r rows of the batch, n active rows at the start, m active rows at the end, w source tokens, c candidates of
    all rows, o candidates of one row, s steps, p positions, d the dimension, v tokens of the vocabulary.

    Inputs: embeddings [v + 1, d], candidates [c], positions [p, d]. For all rows: mask [r, 1, 1, w]; ids, columns and
    bias [r, o]; caps [r]; keys [r, heads, d/heads, w] and values [r, heads, w, d/heads] of each layer. For the active
    rows: rows [n], their indices in the batch; previous [n], at the start v, whose embedding is zero; cells [n, d] of
    each layer. at: the position of the first step. most: the maximum number of steps.

    Outputs: chosen and log_probs [s, n], which are </s> and 0 for a row that has ended; left [m], indices into the n
    active rows; cells [m, d]. A row ends when it writes </s>, or at the position of its cap.
    """
    shape, graph = weights.shape, Graph(weights)
    d, depth, layers = shape.dimension, shape.dimension // shape.heads, range(1, shape.decoder_depth + 1)
    nothing = graph.add("Concat", graph.constant([0], np.int64), graph.add("Shape", "rows"), axis=0)
    no_ids = graph.add("ConstantOfShape", nothing, value=graph.single(0, np.int64))
    no_log_probs = graph.add("ConstantOfShape", nothing, value=graph.single(0, np.float32))
    graph.add("Gather", "embeddings", "candidates", out="weights")
    count = graph.add("Size", "rows")
    everyone = graph.add("Range", graph.constant(0, np.int64), count, graph.constant(1, np.int64))
    cells = [f"cell{layer}" for layer in layers]
    outputs = ["left", "last", *(f"last_{cell}" for cell in cells), "next_at", "steps_left", "chosen", "log_probs"]
    starting = [everyone, "previous", *cells, "at", "most", no_ids, no_log_probs]
    graph.loop(
        _build_stretch(weights, table),
        ["", graph.add("Greater", count, graph.constant(0, np.int64)), *starting],
        outputs,
    )
    inputs = [
        describe_table(table),
        describe("candidates", TensorProto.INT64, "c"),
        describe("positions", TensorProto.FLOAT, "p", d),
        describe("mask", TensorProto.FLOAT, "r", 1, 1, "w"),
        describe("ids", TensorProto.INT64, "r", "o"),
        describe("columns", TensorProto.INT64, "r", "o"),
        describe("bias", TensorProto.FLOAT, "r", "o"),
        describe("caps", TensorProto.INT64, "r"),
        *(describe(f"keys{layer}", TensorProto.FLOAT, "r", shape.heads, depth, "w") for layer in layers),
        *(describe(f"values{layer}", TensorProto.FLOAT, "r", shape.heads, "w", depth) for layer in layers),
        describe("rows", TensorProto.INT64, "n"),
        describe("previous", TensorProto.INT64, "n"),
        *(describe(cell, TensorProto.FLOAT, "n", d) for cell in cells),
        describe("at", TensorProto.INT64),
        describe("most", TensorProto.INT64),
    ]
    return graph.finish(inputs, ["left", *(f"last_{cell}" for cell in cells), "chosen", "log_probs"])


def _build_stretch(weights: Weights, table: EmbeddingTable) -> GraphProto:
    """Builds the body of the outer loop: steps of the active rows, until `COMPACT_SHARE` of them have ended.

    It also ends when no steps are left. It returns the rows that have not ended, for the next stretch.
    """
    graph, shape = Graph(weights, "stretch_"), weights.shape
    layers = range(1, shape.decoder_depth + 1)
    cells = [f"stretch_cell{layer}" for layer in layers]
    active = graph.add("Gather", "rows", "stretch_left")
    for name in ("mask", "ids", "bias", "caps", *(f"{kind}{layer}" for kind in ("keys", "values") for layer in layers)):
        graph.add("Gather", name, active, out=f"own_{name}")
    count = graph.add("Size", active)
    _pick(graph, active, count)
    share = graph.add("Mul", graph.add("Cast", count, to=TensorProto.FLOAT), graph.constant(COMPACT_SHARE, np.float32))
    graph.add("Ceil", share, out="enough")
    sizes = graph.add("Reshape", count, graph.constant([1], np.int64))
    none_ended = graph.add("ConstantOfShape", sizes, value=graph.single(0, np.bool_))
    graph.add(
        "Concat",
        sizes,
        graph.constant([shape.heads, 1, shape.dimension // shape.heads], np.int64),
        axis=0,
        out="query_shape",
    )
    ended = [
        "stretch_last",
        "stretch_ended",
        *(f"stretch_last_{cell}" for cell in cells),
        "stretch_chosen",
        "stretch_log_probs",
    ]
    graph.loop(_build_step(weights, table), ["stretch_steps_left", "", "stretch_previous", none_ended, *cells], ended)
    all_chosen = _spread(graph, "stretch_chosen", "stretch_all_chosen", np.int64)
    all_log_probs = _spread(graph, "stretch_log_probs", "stretch_all_log_probs", np.float32)
    going = graph.add(
        "Reshape", graph.add("NonZero", graph.add("Not", "stretch_ended")), graph.constant([-1], np.int64)
    )
    results = [
        graph.add("Gather", "stretch_left", going),
        graph.add("Gather", "stretch_last", going),
        *(graph.add("Gather", f"stretch_last_{cell}", going) for cell in cells),
    ]
    steps = graph.add("Gather", graph.add("Shape", "stretch_chosen"), graph.constant(0, np.int64))
    left = graph.add("Sub", "stretch_steps_left", steps)
    zero = graph.constant(0, np.int64)
    goes_on = graph.add("And", graph.add("Greater", graph.add("Size", going), zero), graph.add("Greater", left, zero))
    inputs = [
        *_describe_counters("stretch_"),
        describe("stretch_left", TensorProto.INT64, "n"),
        describe("stretch_previous", TensorProto.INT64, "n"),
        *(describe(cell, TensorProto.FLOAT, "n", shape.dimension) for cell in cells),
        describe("stretch_at", TensorProto.INT64),
        describe("stretch_steps_left", TensorProto.INT64),
        describe("stretch_all_chosen", TensorProto.INT64, "s", "n0"),
        describe("stretch_all_log_probs", TensorProto.FLOAT, "s", "n0"),
    ]
    return graph.enclose(
        inputs, [goes_on, *results, graph.add("Add", "stretch_at", steps), left, all_chosen, all_log_probs]
    )


def _pick(graph: Graph, active: str, count: str) -> None:
    """Adds the values `picks` [n * o], the indices of the candidates of each active row in the flat scores [c, n], and
    `own_shape`, (n, o)."""
    numbers = graph.add("Range", graph.constant(0, np.int64), count, graph.constant(1, np.int64))
    numbers = graph.add("Reshape", numbers, graph.constant([-1, 1], np.int64))
    places = graph.add("Add", graph.add("Mul", graph.add("Gather", "columns", active), count), numbers)
    graph.add("Reshape", places, graph.constant([-1], np.int64), out="picks")
    graph.add("Shape", "own_ids", out="own_shape")


def _spread(graph: Graph, values: str, before: str, type_: type[np.int64 | np.float32]) -> str:
    """Adds nodes that append the output of a stretch [k, active rows] to that of the stretches `before` it [s, n].

    The output goes into the columns of its rows; the others are filled with `END`, 0. Returns the name of the result.
    """
    shape, width = graph.add("Shape", values), graph.add("Shape", "rows")
    steps = graph.add("Gather", shape, graph.constant([0], np.int64))
    empty = graph.add("ConstantOfShape", graph.add("Concat", steps, width, axis=0), value=graph.single(END, type_))
    columns = graph.add("Expand", graph.add("Reshape", "stretch_left", graph.constant([1, -1], np.int64)), shape)
    return graph.add("Concat", before, graph.add("ScatterElements", empty, columns, values, axis=1), axis=0)


def _build_step(weights: Weights, table: EmbeddingTable) -> GraphProto:
    """Builds the body of the inner loop: one decoder step, the choice of the next token, and which rows have ended."""
    graph, d = Graph(weights, "step_"), weights.shape.dimension
    layers = range(1, weights.shape.decoder_depth + 1)
    at = graph.add("Add", "step_number", "stretch_at")
    features = decode(graph, table, graph.add("Gather", "positions", at), Names("step_", "own_"), several=False)
    chosen, log_probs = _choose(graph, score(graph, table, features))
    done = graph.add("Or", "done", graph.add("Equal", chosen, graph.constant(END, np.int64)))
    done = graph.add("Or", done, graph.add("LessOrEqual", "own_caps", at))
    count = graph.add("ReduceSum", graph.add("Cast", done, to=TensorProto.FLOAT), keepdims=0)
    goes_on = graph.add("Less", count, "enough")
    inputs = [
        *_describe_counters("step_"),
        describe("step_previous", TensorProto.INT64, "n"),
        describe("done", TensorProto.BOOL, "n"),
        *(describe(f"step_cell{layer}", TensorProto.FLOAT, "n", d) for layer in layers),
    ]
    cells = [f"next_cell{layer}" for layer in layers]
    return graph.enclose(inputs, [goes_on, chosen, done, *cells, graph.add("Identity", chosen), log_probs])


def _choose(graph: Graph, raw_scores: str) -> tuple[str, str]:
    """Adds nodes that choose each row's likeliest candidate. Returns the names of its ids and log-probabilities [n]."""
    scores = graph.add("LogSoftmax", graph.add("Add", raw_scores, "own_bias"), axis=1)
    flat = graph.constant([-1], np.int64)
    best, place = graph.add_pair("TopK", scores, graph.constant([1], np.int64), axis=1)
    chosen = graph.add("GatherElements", "own_ids", place, axis=1)
    return graph.add("Reshape", chosen, flat), graph.add("Reshape", best, flat)


def _describe_counters(label: str) -> list[ValueInfoProto]:
    """Returns descriptions of the first inputs of every `Loop` body: the iteration's number, and whether it goes on."""
    return [describe(f"{label}number", TensorProto.INT64), describe(f"{label}go", TensorProto.BOOL)]
