"""A Marian student as three ONNX graphs: the encoder, one step of the decoder, and the weights of an output layer.

Sources: Vaswani et al. 2017 (encoder, post-norm), Kim et al. 2019 (D19-5632, the SSRU), marian-dev
`src/models/transformer.h` (names and order of operations). Knows no runtime and no search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from latimer_server.backends.marian_engine import Floats
from latimer_server.backends.marian_file import MarianFile
from latimer_server.backends.marian_operators import Array, Graph, Levels, Table, Weights
from latimer_server.backends.marian_shape import Shape

# What the names of matrices end in that activations are multiplied with.
_PRODUCTS = frozenset({"Wq", "Wk", "Wv", "Wo", "W1", "W2", "W", "Wf"})


@dataclass(frozen=True)
class Graphs:
    """What computes a student. Sizes: r rows, n hypotheses, w source tokens, c candidates, l decoder layers.

    `encoder`: embeddings [v, d], ids [r, w], positions [w, d], lengths [r], shape3, shape4 -> keys and values.
    `step`: embeddings [v, d], previous [n], fed [1] (0 at the start), position [1, d], mask [r, 1, 1, w], weights
    [d, c], query_shape (r, n/r, heads, d/heads), cells, keys, values -> logits [n, c] and peak [n, 1], whose product
    counts, cells, attention [r, heads, n/r, w] of the last layer.
    `choice`: the same for one hypothesis a row (query_shape r, heads, 1, d/heads), and columns, ids, bias [r, o], of
    each row's own candidates -> chosen [r], log_probs [r] instead of logits: all that a greedy search needs of a step,
    nothing left to the interpreter.
    `weights`: embeddings [v, d], candidates [c] -> weights [d, c].
    `source` and `target`: the embeddings, as int8 or float32. `compute_type`: what matrices are computed in.
    """

    encoder: ModelProto
    step: ModelProto
    choice: ModelProto
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
    step, choice = (_build_step(weights, target_table, chooses=chooses) for chooses in (False, True))
    bias = source.float_vector("decoder_ff_logit_out_b", shape.target_vocabulary).copy()
    tables = {id(table.values): table.values.nbytes for table in (source_table, target_table)}
    return Graphs(
        encoder,
        step,
        choice,
        _build_weights(weights, target_table),
        source_table.values,
        target_table.values,
        bias,
        "int8" if quantized else "float32",
        encoder.ByteSize() + step.ByteSize() + sum(tables.values()) + bias.nbytes,
    )


def _build_encoder(weights: Weights, table: Table) -> ModelProto:
    graph, shape = Graph(weights), weights.shape
    d = shape.dimension
    flat = graph.constant([-1, d], np.int64)
    x = graph.add("Reshape", graph.add("Add", graph.embed(table, "ids"), "positions"), flat)
    for layer in range(1, shape.encoder_depth + 1):
        prefix = f"encoder_l{layer}_self"
        read = graph.multiply_rows(x, [f"{prefix}_W{w}" for w in "qkv"], [f"{prefix}_b{w}" for w in "qkv"], d)
        query, key, value = (graph.add("Reshape", part, "shape3") for part in graph.split(read, 3))
        attended = graph.add(
            "MultiHeadAttention", query, key, value, "", "lengths", runtime=True, num_heads=shape.heads
        )
        attended = graph.add("Reshape", attended, flat)
        x = graph.normalize(x, graph.multiply(attended, f"{prefix}_Wo", f"{prefix}_bo", d, d), f"{prefix}_Wo_ln")
        x = graph.feed_forward(x, f"encoder_l{layer}_ffn")
    outputs: list[str] = []
    for layer in range(1, shape.decoder_depth + 1):
        prefix = f"decoder_l{layer}_context"
        read = graph.multiply_rows(x, [f"{prefix}_Wk", f"{prefix}_Wv"], [f"{prefix}_bk", f"{prefix}_bv"], d)
        key, value = (graph.add("Reshape", part, "shape4") for part in graph.split(read, 2))
        outputs.append(graph.add("Transpose", key, perm=[0, 2, 3, 1], out=f"keys{layer}"))
        outputs.append(graph.add("Transpose", value, perm=[0, 2, 1, 3], out=f"values{layer}"))
    inputs = [
        _describe_table(table),
        _describe("ids", TensorProto.INT64, "r", "w"),
        _describe("positions", TensorProto.FLOAT, "w", d),
        _describe("lengths", TensorProto.INT32, "r"),
        _describe("shape3", TensorProto.INT64, 3),
        _describe("shape4", TensorProto.INT64, 4),
    ]
    return graph.finish(inputs, outputs)


def _build_step(weights: Weights, table: Table, *, chooses: bool) -> ModelProto:
    graph, shape = Graph(weights), weights.shape
    d, flat = shape.dimension, graph.constant([-1, shape.dimension], np.int64)
    # Nothing comes before the first token, only its position.
    x = graph.add("Add", graph.add("Mul", graph.embed(table, "previous"), "fed"), "position")
    # The attention's 1/sqrt(depth) is folded into the query, which saves a step its scaling.
    query_factor = 1 / math.sqrt(d // shape.heads)
    for layer in range(1, shape.decoder_depth + 1):
        cell, context = f"decoder_l{layer}_rnn", f"decoder_l{layer}_context"
        candidate, forget = graph.split(graph.multiply_rows(x, [f"{cell}_W", f"{cell}_Wf"], ["", f"{cell}_bf"], d), 2)
        # f * c + (1 - f) * Wx, as one interpolation.
        change = graph.add("Mul", graph.add("Sigmoid", forget), graph.add("Sub", f"cell{layer}", candidate))
        kept = graph.add("Add", candidate, change, out=f"next_cell{layer}")
        x = graph.normalize(x, graph.add("Relu", kept), f"{cell}_ffn_ln")
        query = graph.multiply_rows(x, [f"{context}_Wq"], [f"{context}_bq"], d, query_factor)
        query = graph.add("Reshape", query, "query_shape")
        if not chooses:  # of one hypothesis it is in that order already
            query = graph.add("Transpose", query, perm=[0, 2, 1, 3])
        scores = graph.add("Add", graph.add("MatMul", query, f"keys{layer}"), "mask")
        looked = graph.add("Softmax", scores, axis=-1, out=f"attention{layer}")
        attended = graph.add("MatMul", looked, f"values{layer}")
        if not chooses:
            attended = graph.add("Transpose", attended, perm=[0, 2, 1, 3])
        attended = graph.add("Reshape", attended, flat)
        x = graph.normalize(x, graph.multiply(attended, f"{context}_Wo", f"{context}_bo", d, d), f"{context}_Wo_ln")
        x = graph.feed_forward(x, f"decoder_l{layer}_ffn")
    read, peaks = graph.quantize_rows(x)
    if table.quantized:
        scale, unit = graph.constant(read.scale, np.float32), graph.constant(table.unit, np.float32)
        zero = graph.constant(read.zero, np.uint8)
        graph.add("MatMulIntegerToFloat", read.name, "weights", scale, unit, zero, runtime=True, out="logits")
    else:
        graph.add("MatMul", graph.add("Div", x, peaks), "weights", out="logits")
    # The candidates are few: they are multiplied by it once they are chosen.
    graph.add("Identity", peaks, out="peak")
    layers = range(1, shape.decoder_depth + 1)
    inputs = [
        _describe_table(table),
        _describe("previous", TensorProto.INT64, "n"),
        _describe("fed", TensorProto.FLOAT, 1),
        _describe("position", TensorProto.FLOAT, 1, d),
        _describe("mask", TensorProto.FLOAT, "r", 1, 1, "w"),
        _describe("weights", _type_of(table), d, "c"),
        _describe("query_shape", TensorProto.INT64, 4),
        *(_describe(f"cell{layer}", TensorProto.FLOAT, "n", d) for layer in layers),
        *(_describe(f"keys{layer}", TensorProto.FLOAT, "r", shape.heads, d // shape.heads, "w") for layer in layers),
        *(_describe(f"values{layer}", TensorProto.FLOAT, "r", shape.heads, "w", d // shape.heads) for layer in layers),
    ]
    outputs = [*(f"next_cell{layer}" for layer in layers), f"attention{shape.decoder_depth}"]
    if not chooses:
        return graph.finish(inputs, ["logits", "peak", *outputs])
    _choose(graph, peaks)
    inputs += [
        _describe("columns", TensorProto.INT64, "n", "o"),
        _describe("ids", TensorProto.INT64, "n", "o"),
        _describe("bias", TensorProto.FLOAT, "n", "o"),
    ]
    return graph.finish(inputs, ["chosen", "log_probs", *outputs])


def _choose(graph: Graph, peaks: str) -> None:
    """The likeliest of each row's own candidates, and its log-probability among them."""
    own = graph.add("GatherElements", "logits", "columns", axis=1)
    own = graph.add("Add", graph.add("Mul", own, peaks), "bias")
    scores = graph.add("LogSoftmax", own, axis=1)
    flat = graph.constant([-1], np.int64)
    best, place = graph.add_pair("TopK", scores, graph.constant([1], np.int64), axis=1)
    graph.add("Reshape", graph.add("GatherElements", "ids", place, axis=1), flat, out="chosen")
    graph.add("Reshape", best, flat, out="log_probs")


def _build_weights(weights: Weights, table: Table) -> ModelProto:
    graph = Graph(weights)
    graph.add("Transpose", graph.add("Gather", "embeddings", "candidates"), perm=[1, 0], out="weights")
    return graph.finish([_describe_table(table), _describe("candidates", TensorProto.INT64, "c")], ["weights"])


def _describe(name: str, type_: int, *sizes: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, type_, list(sizes))


def _describe_table(table: Table) -> ValueInfoProto:
    return _describe("embeddings", _type_of(table), *table.values.shape)


def _type_of(table: Table) -> int:
    return int(TensorProto.INT8 if table.quantized else TensorProto.FLOAT)
