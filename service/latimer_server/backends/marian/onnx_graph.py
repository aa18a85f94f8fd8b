"""Builds the ONNX graphs of a Marian student: the encoder, one step of the decoder, greedy search, and the lookup of
the output layer's weights.

Source: Vaswani et al. 2017 (encoder, post-norm).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.engine import Floats
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.onnx_layers import (
    Names,
    decode,
    describe,
    describe_table,
    divide_heads,
    score,
    type_of,
)
from latimer_server.backends.marian.onnx_operators import Graph
from latimer_server.backends.marian.onnx_search import build_search
from latimer_server.backends.marian.weights import (
    Array,
    EmbeddingTable,
    QuantizationLevels,
    Weights,
    has_multipliers,
    read_tables,
)


@dataclass(frozen=True)
class Graphs:
    """The ONNX graphs of a student, with their inputs -> outputs, and the arrays that they are run with.

    Sizes: r rows, n hypotheses, w source tokens, d the dimension of the network, c candidates of all rows, o candidates
    of one row, v tokens of the vocabulary.

    `encoder`: embeddings [v + 1, d], ids [r, w], positions [w, d], mask [r, 1, 1, w], shape (r, w, heads, d/heads),
    missing [1], the padding up to the width of the batch -> keys and values of each decoder layer.
    `step`: embeddings [v + 1, d], previous [n] (at the start v, whose embedding is zero), position [d], mask
    [r, 1, 1, w], weights [c, d], query_shape (r, n/r, heads, d/heads), picks [n * o], own_shape (n, o), bias [n, o],
    cells, keys, values -> logits and log_probs [n, o], cells, attention [r, heads, n/r, w] of the last layer. `picks`
    are the indices of each hypothesis' own candidates in the flat scores [c, n].
    `search`: greedy search for several steps with one hypothesis for each row; see `onnx_search`.
    `weights`: embeddings [v + 1, d], candidates [c] -> weights [c, d].
    `source` and `target`: the embeddings [v + 1, d], as bytes (128 represents 0) or float32. `compute_type`: that of
    the products. `memory_bytes`: the size of the graphs and arrays.
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


def build_graphs(source: MarianFile, shape: Architecture, levels: QuantizationLevels | None) -> Graphs:
    """Builds the graphs of the student in a model file; in float32 if `levels` is None or the file has no multipliers.

    Raises `ModelFileError` if `source` lacks a weight, or if a weight has another size than the configuration says.
    """
    quantized = levels is not None and has_multipliers(source)
    weights = Weights(source, shape, levels or QuantizationLevels(), quantized=quantized)
    source_table, target_table = read_tables(weights)
    encoder = _build_encoder(weights, source_table)
    step, search = _build_step(weights, target_table), build_search(weights, target_table)
    bias = source.float_vector("decoder_ff_logit_out_b", shape.target_vocabulary).copy()
    tables = {id(table.values): table.values.nbytes for table in (source_table, target_table)}
    return Graphs(
        encoder,
        step,
        search,
        _build_weights(weights, target_table),
        source_table.values,
        target_table.values,
        bias,
        "int8" if quantized else "float32",
        sum(graph.ByteSize() for graph in (encoder, step, search)) + sum(tables.values()) + bias.nbytes,
    )


def _build_encoder(weights: Weights, table: EmbeddingTable) -> ModelProto:
    graph, shape = Graph(weights), weights.shape
    d = shape.dimension
    flat = graph.constant([-1, d], np.int64)
    x = graph.add("Reshape", graph.add("Add", graph.embed(table, "ids"), "positions"), flat)
    # The query's weights include the attention's factor 1/sqrt(d/heads).
    query_factor = 1 / math.sqrt(d // shape.heads)
    for layer in range(1, shape.encoder_depth + 1):
        prefix = f"encoder_l{layer}_self"
        query = divide_heads(graph, x, prefix, "q", [0, 2, 1, 3], query_factor)
        key = divide_heads(graph, x, prefix, "k", [0, 2, 3, 1])
        value = divide_heads(graph, x, prefix, "v", [0, 2, 1, 3])
        attention = graph.add("Softmax", graph.add("Add", graph.add("MatMul", query, key), "mask"), axis=-1)
        attended = graph.add("Transpose", graph.add("MatMul", attention, value), perm=[0, 2, 1, 3])
        attended = graph.add("Reshape", attended, flat)
        x = graph.normalize(x, graph.multiply(attended, f"{prefix}_Wo", f"{prefix}_bo", d, d), f"{prefix}_Wo_ln")
        x = graph.feed_forward(x, f"encoder_l{layer}_ffn")
    outputs: list[str] = []
    # Pads a group to the width of its batch: keys at the end of the last axis, values at the end of the one before it.
    past_keys = graph.add("Concat", graph.constant([0] * 7, np.int64), "missing", axis=0)
    past_values = graph.add(
        "Concat", graph.constant([0] * 6, np.int64), "missing", graph.constant([0], np.int64), axis=0
    )
    for layer in range(1, shape.decoder_depth + 1):
        prefix = f"decoder_l{layer}_context"
        keys = divide_heads(graph, x, prefix, "k", [0, 2, 3, 1])
        outputs.append(graph.add("Pad", keys, past_keys, out=f"keys{layer}"))
        values = divide_heads(graph, x, prefix, "v", [0, 2, 1, 3])
        outputs.append(graph.add("Pad", values, past_values, out=f"values{layer}"))
    inputs = [
        describe_table(table),
        describe("ids", TensorProto.INT64, "r", "w"),
        describe("positions", TensorProto.FLOAT, "w", d),
        describe("mask", TensorProto.FLOAT, "r", 1, 1, "w"),
        describe("shape", TensorProto.INT64, 4),
        describe("missing", TensorProto.INT64, 1),
    ]
    return graph.finish(inputs, outputs)


def _build_step(weights: Weights, table: EmbeddingTable) -> ModelProto:
    graph, shape = Graph(weights), weights.shape
    depth, layers = shape.dimension // shape.heads, range(1, shape.decoder_depth + 1)
    features = decode(graph, table, "position", Names(), several=True)
    graph.add(
        "LogSoftmax", graph.add("Add", score(graph, table, features), "bias", out="logits"), axis=1, out="log_probs"
    )
    inputs = [
        describe_table(table),
        describe("mask", TensorProto.FLOAT, "r", 1, 1, "w"),
        describe("weights", type_of(table), "c", shape.dimension),
        describe("query_shape", TensorProto.INT64, 4),
        describe("picks", TensorProto.INT64, "p"),
        describe("own_shape", TensorProto.INT64, 2),
        describe("bias", TensorProto.FLOAT, "n", "o"),
        *(describe(f"keys{layer}", TensorProto.FLOAT, "r", shape.heads, depth, "w") for layer in layers),
        *(describe(f"values{layer}", TensorProto.FLOAT, "r", shape.heads, "w", depth) for layer in layers),
        describe("position", TensorProto.FLOAT, shape.dimension),
        describe("previous", TensorProto.INT64, "n"),
        *(describe(f"cell{layer}", TensorProto.FLOAT, "n", shape.dimension) for layer in layers),
    ]
    cells = [f"next_cell{layer}" for layer in layers]
    return graph.finish(inputs, ["logits", "log_probs", *cells, f"attention{len(layers)}"])


def _build_weights(weights: Weights, table: EmbeddingTable) -> ModelProto:
    graph = Graph(weights)
    graph.add("Gather", "embeddings", "candidates", out="weights")
    return graph.finish([describe_table(table), describe("candidates", TensorProto.INT64, "c")], ["weights"])
