"""Adds attention heads and the decoder of a student to an ONNX graph, and describes the inputs of its graphs.

Sources: Vaswani et al. 2017 (post-norm), Kim et al. 2019 (D19-5632, the SSRU), marian-dev `src/models/transformer.h`
(names and order of operations).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from latimer_server.backends.marian.onnx_operators import Graph
from latimer_server.backends.marian.weights import EmbeddingTable


def divide_heads(graph: Graph, x: str, prefix: str, which: str, order: Sequence[int], factor: float = 1.0) -> str:
    """Adds the nodes for the queries, keys or values (`which`: q, k or v) of each head, computed from the value `x`.

    Returns the name of the result: [r, w, heads, d/heads] with its axes in `order`, multiplied by `factor`.

    The fused operator MultiHeadAttention is no faster (`python -m benchmarks.micro.operators`).
    """
    projected = graph.multiply_rows(
        x, f"{prefix}_W{which}", f"{prefix}_b{which}", graph.weights.shape.dimension, factor
    )
    return graph.add("Transpose", graph.add("Reshape", projected, "shape"), perm=order)


@dataclass(frozen=True)
class Names:
    """The prefixes of the names of a decoder step's inputs.

    `hypotheses` is for inputs with one item per hypothesis (`previous`, `cell1`), `rows` for those with one per row
    (`keys1`, `values1`, `mask`).
    """

    hypotheses: str = ""
    rows: str = ""


def decode(graph: Graph, table: EmbeddingTable, position: str, names: Names, *, several: bool) -> str:
    """Adds the nodes of one decoder step over the `previous` tokens. Returns the name of the features [n, d].

    `position` is the name of the position's embedding. `several`: whether a row may have more than one hypothesis.
    """
    shape = graph.weights.shape
    d, flat = shape.dimension, graph.constant([-1, shape.dimension], np.int64)
    x = graph.add("Add", graph.embed(table, f"{names.hypotheses}previous"), position)
    # The query's weights include the attention's factor 1/sqrt(d/heads), which saves one operation in each step.
    query_factor = 1 / math.sqrt(d // shape.heads)
    for layer in range(1, shape.decoder_depth + 1):
        cell, context = f"decoder_l{layer}_rnn", f"decoder_l{layer}_context"
        candidate, forget = (
            graph.multiply_rows(x, f"{cell}_W", "", d),
            graph.multiply_rows(x, f"{cell}_Wf", f"{cell}_bf", d),
        )
        # Computes f * c + (1 - f) * Wx as one interpolation.
        change = graph.add(
            "Mul", graph.add("Sigmoid", forget), graph.add("Sub", f"{names.hypotheses}cell{layer}", candidate)
        )
        kept = graph.add("Add", candidate, change, out=f"next_cell{layer}")
        x = graph.normalize(x, graph.add("Relu", kept), f"{cell}_ffn_ln")
        query = graph.multiply_rows(x, f"{context}_Wq", f"{context}_bq", d, query_factor)
        query = graph.add("Reshape", query, "query_shape")
        if several:  # with one hypothesis the order is right already
            query = graph.add("Transpose", query, perm=[0, 2, 1, 3])
        scores = graph.add("Add", graph.add("MatMul", query, f"{names.rows}keys{layer}"), f"{names.rows}mask")
        attention = graph.add("Softmax", scores, axis=-1, out=f"attention{layer}")
        attended = graph.add("MatMul", attention, f"{names.rows}values{layer}")
        if several:
            attended = graph.add("Transpose", attended, perm=[0, 2, 1, 3])
        attended = graph.add("Reshape", attended, flat)
        x = graph.normalize(x, graph.multiply(attended, f"{context}_Wo", f"{context}_bo", d, d), f"{context}_Wo_ln")
        x = graph.feed_forward(x, f"decoder_l{layer}_ffn")
    return x


def score(graph: Graph, table: EmbeddingTable, features: str) -> str:
    """Adds the nodes for the scores [n, o] of each hypothesis' own candidates, without bias. Returns the scores' name.

    The weights are the first operand. They differ from batch to batch, and ONNX Runtime packs the second operand for
    each product, which costs about as much as the product (`python -m benchmarks.micro.operators`).
    """
    columns = graph.add("Transpose", features, perm=[1, 0])
    if table.quantized:
        scores = graph.multiply_columns("weights", table, columns)
    else:
        scores = graph.add("MatMul", "weights", columns)
    everything = graph.add("Reshape", scores, graph.constant([-1], np.int64))
    return graph.add("Reshape", graph.add("GatherElements", everything, "picks", axis=0), "own_shape")


def describe(name: str, type_: int, *sizes: int | str) -> ValueInfoProto:
    """Returns ONNX's description of a graph's input. A size is a number, or a name if it varies from run to run."""
    return helper.make_tensor_value_info(name, type_, list(sizes))


def describe_table(table: EmbeddingTable) -> ValueInfoProto:
    """Returns ONNX's description of the graph input `embeddings`, which gets the values of this table."""
    return describe("embeddings", type_of(table), *table.values.shape)


def type_of(table: EmbeddingTable) -> int:
    """Returns the ONNX type of the values of an embedding table: UINT8 or FLOAT."""
    return int(TensorProto.UINT8 if table.quantized else TensorProto.FLOAT)
