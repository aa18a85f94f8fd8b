"""A Marian student as ONNX graphs: the encoder, one step of the decoder, a greedy search, and the weights of an output
layer.

Sources: Vaswani et al. 2017 (encoder, post-norm), Kim et al. 2019 (D19-5632, the SSRU), marian-dev
`src/models/transformer.h` (names and order of operations). Knows no runtime and no search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from latimer_server.backends.marian_engine import END, Floats
from latimer_server.backends.marian_file import MarianFile
from latimer_server.backends.marian_operators import Array, Graph, Levels, Table, Weights
from latimer_server.backends.marian_shape import Shape

# What the names of matrices end in that activations are multiplied with.
_PRODUCTS = frozenset({"Wq", "Wk", "Wv", "Wo", "W1", "W2", "W", "Wf"})


@dataclass(frozen=True)
class Graphs:
    """What computes a student. Sizes: r rows, n hypotheses, w source tokens, c candidates of all rows, o of each row's
    own, l decoder layers, v tokens of the vocabulary.

    `encoder`: embeddings [v + 1, d], ids [r, w], positions [w, d], mask [r, 1, 1, w], shape (r, w, heads, d/heads) ->
    keys and values.
    `step`: embeddings [v + 1, d], previous [n] (v, whose embedding is nothing, at the start), position [d], mask
    [r, 1, 1, w], weights [c, d], query_shape (r, n/r, heads, d/heads), picks [n * o], own_shape (n, o), bias [n, o],
    cells, keys, values -> logits and log_probs [n, o], cells, attention [r, heads, n/r, w] of the last layer. `picks`:
    the places of each hypothesis' own candidates among the scores [c, n] of all.
    `search`: steps of one hypothesis a row, one after the other, with the choices of greedy search, of those `rows` [n]
    of all that are left; `kept` [n] are their places among the cells. Inputs as those of `step`, where they are all
    rows' with `all_` before their names; `first_` what the first step begins with; positions [p, d] and start (the
    first of them), query_shape (n, heads, 1, d/heads), ids [r, o], caps [n], most_steps, enough -> cells, chosen
    [steps, n], log_probs [steps, n]. It ends when `enough` rows have said </s> or are past their cap: nothing of it is
    left to the interpreter.
    `weights`: embeddings [v + 1, d], candidates [c] -> weights [c, d].
    `source` and `target`: the embeddings, as bytes (0 is 128) or float32. `compute_type`: of the products.
    """

    encoder: ModelProto
    step: ModelProto
    search: ModelProto
    weights: ModelProto
    source: Array
    target: Array
    output_bias: Floats
    compute_type: str
    memory_bytes: int


def build_graphs(source: MarianFile, shape: Shape, levels: Levels | None) -> Graphs:
    """The graphs of a student; without `levels` in float32. Raises `ModelFileError` when `source` lacks a weight or has
    another size than its configuration says."""
    names = source.names
    quantized = levels is not None and all(
        f"{name}_QuantMultA" in names for name in names if name.rpartition("_")[2] in _PRODUCTS
    )
    weights = Weights(source, shape, levels or Levels(), quantized=quantized)
    if shape.shared:
        source_table = target_table = weights.embeddings("Wemb", shape.target_vocabulary)
    else:
        source_table = weights.embeddings("encoder_Wemb", shape.source_vocabulary)
        target_table = weights.embeddings("decoder_Wemb", shape.target_vocabulary)
    encoder = _build_encoder(weights, source_table)
    step, search = _build_step(weights, target_table), _build_search(weights, target_table)
    bias = source.float_vector("decoder_ff_logit_out_b", shape.target_vocabulary).copy()
    tables = {id(table.values): table.values.nbytes for table in (source_table, target_table)}
    return Graphs(
        encoder,
        step,
        search,
        _build_weights(target_table, weights),
        source_table.values,
        target_table.values,
        bias,
        "int8" if quantized else "float32",
        sum(graph.ByteSize() for graph in (encoder, step, search)) + sum(tables.values()) + bias.nbytes,
    )


def _build_encoder(weights: Weights, table: Table) -> ModelProto:
    graph, shape = Graph(weights), weights.shape
    d = shape.dimension
    flat = graph.constant([-1, d], np.int64)
    x = graph.add("Reshape", graph.add("Add", graph.embed(table, "ids"), "positions"), flat)
    # The attention's 1/sqrt(depth) is folded into the query.
    query_factor = 1 / math.sqrt(d // shape.heads)
    for layer in range(1, shape.encoder_depth + 1):
        prefix = f"encoder_l{layer}_self"
        query = _divide_heads(graph, x, prefix, "q", [0, 2, 1, 3], query_factor)
        key = _divide_heads(graph, x, prefix, "k", [0, 2, 3, 1])
        value = _divide_heads(graph, x, prefix, "v", [0, 2, 1, 3])
        looked = graph.add("Softmax", graph.add("Add", graph.add("MatMul", query, key), "mask"), axis=-1)
        attended = graph.add("Transpose", graph.add("MatMul", looked, value), perm=[0, 2, 1, 3])
        attended = graph.add("Reshape", attended, flat)
        x = graph.normalize(x, graph.multiply(attended, f"{prefix}_Wo", f"{prefix}_bo", d, d), f"{prefix}_Wo_ln")
        x = graph.feed_forward(x, f"encoder_l{layer}_ffn")
    outputs: list[str] = []
    for layer in range(1, shape.decoder_depth + 1):
        prefix = f"decoder_l{layer}_context"
        outputs.append(_divide_heads(graph, x, prefix, "k", [0, 2, 3, 1], out=f"keys{layer}"))
        outputs.append(_divide_heads(graph, x, prefix, "v", [0, 2, 1, 3], out=f"values{layer}"))
    inputs = [
        _describe_table(table),
        _describe("ids", TensorProto.INT64, "r", "w"),
        _describe("positions", TensorProto.FLOAT, "w", d),
        _describe("mask", TensorProto.FLOAT, "r", 1, 1, "w"),
        _describe("shape", TensorProto.INT64, 4),
    ]
    return graph.finish(inputs, outputs)


def _divide_heads(
    graph: Graph, x: str, prefix: str, which: str, order: Sequence[int], factor: float = 1.0, out: str = ""
) -> str:
    """Queries, keys or values of each head: `order` of [r, w, heads, d/heads].

    MultiHeadAttention, which does this and what follows in one, gives the same bits and takes a fifth longer.
    """
    found = graph.multiply_rows(x, f"{prefix}_W{which}", f"{prefix}_b{which}", graph.weights.shape.dimension, factor)
    return graph.add("Transpose", graph.add("Reshape", found, "shape"), perm=order, out=out)


def _build_step(weights: Weights, table: Table) -> ModelProto:
    graph, layers = Graph(weights), range(1, weights.shape.decoder_depth + 1)
    features = _decode(graph, table, "position", several=True)
    graph.add(
        "LogSoftmax", graph.add("Add", _score(graph, table, features), "bias", out="logits"), axis=1, out="log_probs"
    )
    inputs = [
        *_describe_step(weights, table),
        _describe("position", TensorProto.FLOAT, weights.shape.dimension),
        _describe("previous", TensorProto.INT64, "n"),
        *(_describe(f"cell{layer}", TensorProto.FLOAT, "n", weights.shape.dimension) for layer in layers),
    ]
    cells = [f"next_cell{layer}" for layer in layers]
    return graph.finish(inputs, ["logits", "log_probs", *cells, f"attention{len(layers)}"])


def _build_search(weights: Weights, table: Table) -> ModelProto:
    """A loop whose body is a step and a choice. What stays the same in it are inputs of the graph around it."""
    body, d = Graph(weights, "body_"), weights.shape.dimension
    layers = range(1, weights.shape.decoder_depth + 1)
    at = body.add("Add", "number", "start")
    features = _decode(body, table, body.add("Gather", "positions", at), several=False)
    chosen = _choose(body, _score(body, table, features))
    ended = body.add("Equal", chosen, body.constant(END, np.int64))
    body.add("Or", body.add("Or", "done", ended), body.add("LessOrEqual", "caps", at), out="now_done")
    count = body.add("ReduceSum", body.add("Cast", "now_done", to=TensorProto.FLOAT), keepdims=0)
    body.add("Less", count, "enough", out="goes_on")
    cells = [_describe(f"cell{layer}", TensorProto.FLOAT, "n", d) for layer in layers]
    carried = [_describe("previous", TensorProto.INT64, "n"), _describe("done", TensorProto.BOOL, "n"), *cells]
    counted = [_describe("number", TensorProto.INT64), _describe("go", TensorProto.BOOL)]
    results = [chosen, "now_done", *(f"next_cell{layer}" for layer in layers)]
    scanned = [body.add("Identity", chosen), "log_probs"]
    search = Graph(weights)
    _select(search, weights)
    outputs = ["last", "last_done", *(f"last_cell{layer}" for layer in layers), "chosen", "all_log_probs"]
    starting = ["first_previous", "first_done", *(f"first_cell{layer}" for layer in layers)]
    body_graph = body.enclose([*counted, *carried], ["goes_on", *results, *scanned])
    search.loop(body_graph, ["most_steps", "", *starting], outputs)
    shape = weights.shape
    depth = shape.dimension // shape.heads
    inputs = [
        _describe_table(table),
        _describe("weights", _type_of(table), "c", d),
        _describe("positions", TensorProto.FLOAT, "p", d),
        _describe("start", TensorProto.INT64),
        _describe("most_steps", TensorProto.INT64),
        _describe("enough", TensorProto.FLOAT),
        _describe("rows", TensorProto.INT64, "n"),
        _describe("kept", TensorProto.INT64, "n"),
        _describe("query_shape", TensorProto.INT64, 4),
        _describe("first_previous", TensorProto.INT64, "n"),
        _describe("first_done", TensorProto.BOOL, "n"),
        _describe("caps", TensorProto.INT64, "n"),
        _describe("all_mask", TensorProto.FLOAT, "r", 1, 1, "w"),
        _describe("all_ids", TensorProto.INT64, "r", "o"),
        _describe("all_columns", TensorProto.INT64, "r", "o"),
        _describe("all_bias", TensorProto.FLOAT, "r", "o"),
        *(_describe(f"all_keys{layer}", TensorProto.FLOAT, "r", shape.heads, depth, "w") for layer in layers),
        *(_describe(f"all_values{layer}", TensorProto.FLOAT, "r", shape.heads, "w", depth) for layer in layers),
        *(_describe(f"all_cell{layer}", TensorProto.FLOAT, "m", d) for layer in layers),
    ]
    return search.finish(inputs, outputs)


def _select(graph: Graph, weights: Weights) -> None:
    """What the rows that are left need, of what all rows have."""
    layers = range(1, weights.shape.decoder_depth + 1)
    for name in ("mask", "ids", "bias", *(f"{kind}{layer}" for kind in ("keys", "values") for layer in layers)):
        graph.add("Gather", f"all_{name}", "rows", out=name)
    for layer in layers:
        graph.add("Gather", f"all_cell{layer}", "kept", out=f"first_cell{layer}")
    graph.add("Shape", "ids", out="own_shape")
    count = graph.add("Size", "rows")
    numbers = graph.add("Range", graph.constant(0, np.int64), count, graph.constant(1, np.int64))
    numbers = graph.add("Reshape", numbers, graph.constant([-1, 1], np.int64))
    places = graph.add("Add", graph.add("Mul", graph.add("Gather", "all_columns", "rows"), count), numbers)
    graph.add("Reshape", places, graph.constant([-1], np.int64), out="picks")


def _describe_step(weights: Weights, table: Table) -> list[ValueInfoProto]:
    """The inputs of a step that one step after the other has alike."""
    shape = weights.shape
    depth, layers = shape.dimension // shape.heads, range(1, shape.decoder_depth + 1)
    return [
        _describe_table(table),
        _describe("mask", TensorProto.FLOAT, "r", 1, 1, "w"),
        _describe("weights", _type_of(table), "c", shape.dimension),
        _describe("query_shape", TensorProto.INT64, 4),
        _describe("picks", TensorProto.INT64, "p"),
        _describe("own_shape", TensorProto.INT64, 2),
        _describe("bias", TensorProto.FLOAT, "n", "o"),
        *(_describe(f"keys{layer}", TensorProto.FLOAT, "r", shape.heads, depth, "w") for layer in layers),
        *(_describe(f"values{layer}", TensorProto.FLOAT, "r", shape.heads, "w", depth) for layer in layers),
    ]


def _decode(graph: Graph, table: Table, position: str, *, several: bool) -> str:
    """The decoder's layers over the `previous` tokens: their features [n, d]. `several`: whether a row may have more
    than one hypothesis."""
    shape = graph.weights.shape
    d, flat = shape.dimension, graph.constant([-1, shape.dimension], np.int64)
    x = graph.add("Add", graph.embed(table, "previous"), position)
    # The attention's 1/sqrt(depth) is folded into the query, which saves a step its scaling.
    query_factor = 1 / math.sqrt(d // shape.heads)
    for layer in range(1, shape.decoder_depth + 1):
        cell, context = f"decoder_l{layer}_rnn", f"decoder_l{layer}_context"
        candidate, forget = (
            graph.multiply_rows(x, f"{cell}_W", "", d),
            graph.multiply_rows(x, f"{cell}_Wf", f"{cell}_bf", d),
        )
        # f * c + (1 - f) * Wx, as one interpolation.
        change = graph.add("Mul", graph.add("Sigmoid", forget), graph.add("Sub", f"cell{layer}", candidate))
        kept = graph.add("Add", candidate, change, out=f"next_cell{layer}")
        x = graph.normalize(x, graph.add("Relu", kept), f"{cell}_ffn_ln")
        query = graph.multiply_rows(x, f"{context}_Wq", f"{context}_bq", d, query_factor)
        query = graph.add("Reshape", query, "query_shape")
        if several:  # of one hypothesis it is in that order already
            query = graph.add("Transpose", query, perm=[0, 2, 1, 3])
        scores = graph.add("Add", graph.add("MatMul", query, f"keys{layer}"), "mask")
        looked = graph.add("Softmax", scores, axis=-1, out=f"attention{layer}")
        attended = graph.add("MatMul", looked, f"values{layer}")
        if several:
            attended = graph.add("Transpose", attended, perm=[0, 2, 1, 3])
        attended = graph.add("Reshape", attended, flat)
        x = graph.normalize(x, graph.multiply(attended, f"{context}_Wo", f"{context}_bo", d, d), f"{context}_Wo_ln")
        x = graph.feed_forward(x, f"decoder_l{layer}_ffn")
    return x


def _score(graph: Graph, table: Table, features: str) -> str:
    """The scores [n, o] of each hypothesis' own candidates, without their bias.

    The weights stand before the features: they are other ones in every batch, and what stands second is packed for
    each product, which costs more than the product itself (docs/performance.md).
    """
    columns = graph.add("Transpose", features, perm=[1, 0])
    if table.quantized:
        scores = graph.multiply_columns("weights", table, columns)
    else:
        scores = graph.add("MatMul", "weights", columns)
    everything = graph.add("Reshape", scores, graph.constant([-1], np.int64))
    return graph.add("Reshape", graph.add("GatherElements", everything, "picks", axis=0), "own_shape")


def _choose(graph: Graph, own: str) -> str:
    """The likeliest of each row's own candidates [n], and its log-probability among them as `log_probs` [n]."""
    scores = graph.add("LogSoftmax", graph.add("Add", own, "bias"), axis=1)
    flat = graph.constant([-1], np.int64)
    best, place = graph.add_pair("TopK", scores, graph.constant([1], np.int64), axis=1)
    graph.add("Reshape", best, flat, out="log_probs")
    return graph.add("Reshape", graph.add("GatherElements", "ids", place, axis=1), flat)


def _build_weights(table: Table, weights: Weights) -> ModelProto:
    graph = Graph(weights)
    graph.add("Gather", "embeddings", "candidates", out="weights")
    return graph.finish([_describe_table(table), _describe("candidates", TensorProto.INT64, "c")], ["weights"])


def _describe(name: str, type_: int, *sizes: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, type_, list(sizes))


def _describe_table(table: Table) -> ValueInfoProto:
    return _describe("embeddings", _type_of(table), *table.values.shape)


def _type_of(table: Table) -> int:
    return int(TensorProto.UINT8 if table.quantized else TensorProto.FLOAT)
