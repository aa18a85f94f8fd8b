"""Builds the parts of a student's ONNX graphs: quantised products, feed-forward layers and norms.

Sources: Vaswani et al. 2017 (post-norm layers), the operators of ONNX 17 and of ONNX Runtime's own domain. Matrices
stay int8 as in the file. Activations are quantised by the multipliers of the file, or by the largest value of their
row, so that no row depends on the others in the batch. A file without multipliers is computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from latimer_server.backends.marian.weights import ZERO_BYTE, EmbeddingTable, Weights

# Marian's default; the file does not contain it. Values from 1e-5 to 1e-9 give the same text.
_LAYER_NORM_EPSILON = 1e-6
_OPSET, _IR_VERSION = 17, 9
# The domain of the operators that only ONNX Runtime has.
_RUNTIME = "com.microsoft"


@dataclass(frozen=True)
class Activation:
    """A quantised value of an ONNX graph: its name, and how to read it. A byte stands for (byte - zero) * scale."""

    name: str
    scale: float
    zero: int


@dataclass
class Graph:
    """An ONNX graph under construction: its nodes and constants.

    Methods add nodes and return the names of their outputs. The generated names are unique and begin with `label`.
    """

    weights: Weights
    label: str = ""
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    rows: dict[str, tuple[Activation, str]] = field(default_factory=dict)  # results of `quantize_rows` by input

    def add(self, operator: str, *inputs: str, out: str = "", runtime: bool = False, **attributes: object) -> str:
        """Adds a node with one output, and returns the output's name. `runtime`: only ONNX Runtime has the operator."""
        return self._add(
            operator, inputs, [out or f"{self.label}{operator}{len(self.nodes)}"], attributes, runtime=runtime
        )[0]

    def add_pair(self, operator: str, *inputs: str, **attributes: object) -> tuple[str, str]:
        """Adds a node with two outputs, and returns their names."""
        number = len(self.nodes)
        first, second = self._add(
            operator, inputs, [f"{self.label}{operator}{number}_{n}" for n in (0, 1)], attributes, runtime=False
        )
        return first, second

    def constant(self, value: object, type_: npt.DTypeLike) -> str:
        """Adds an array to the constants of the graph, and returns its name."""
        name = f"{self.label}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, type_, order="C"), name))
        return name

    def single(self, value: object, type_: npt.DTypeLike) -> TensorProto:
        """Returns an ONNX tensor of one element, for the attribute of a node. Adds nothing to the graph."""
        return numpy_helper.from_array(np.array([value], type_))

    def quantize(self, x: str, multiplier: float) -> Activation:
        """Adds a QuantizeLinear node that turns the float value `x` into bytes. `multiplier` maps `x` to -127..127."""
        levels = self.weights.levels
        scale = levels.scale(multiplier)
        zero = self.constant(levels.zero, np.uint8)
        name = self.add("QuantizeLinear", x, self.constant(scale, np.float32), zero)
        return Activation(name, scale, levels.zero)

    def embed(self, table: EmbeddingTable, ids: str) -> str:
        """Adds the nodes that look up the embeddings of `ids` in the graph's input `embeddings`, times sqrt(d).

        Returns the name of the float32 result.
        """
        rows, factor = self.add("Gather", "embeddings", ids), math.sqrt(self.weights.shape.dimension)
        if not table.quantized:
            return self.add("Mul", rows, self.constant(factor, np.float32))
        zero = self.constant(ZERO_BYTE, np.uint8)
        return self.add("DequantizeLinear", rows, self.constant(table.unit * factor, np.float32), zero)

    def quantize_rows(self, x: str) -> tuple[Activation, str]:
        """Adds nodes that quantise each row of `x` by its largest absolute value.

        Returns the rows, divided by these largest values and quantised, and the name of the largest values.
        """
        if x not in self.rows:
            peaks = self.add("ReduceMax", self.add("Abs", x), axes=[-1], keepdims=1)
            self.rows[x] = self.quantize(self.add("Div", x, peaks), 127.0), peaks
        return self.rows[x]

    def multiply_rows(self, x: str, name: str, bias: str, size: int, factor: float = 1.0) -> str:
        """Adds nodes that multiply `x` with a square matrix, add the `bias` unless it is "", and scale by `factor`.

        Returns the name of the result. Quantises each row by its own largest value. The multipliers of the file would
        cut off outliers, which every later layer would lack (docs/decisions/0036 compares both).
        """
        if self.weights.quantized:
            activation, peaks = self.quantize_rows(x)
            product = self._multiply_bytes(activation, name, size, size, factor, peaks=peaks)
        else:
            matrix = self.weights.matrix(name, size, size)
            product = self.add("MatMul", x, self.constant(matrix.dequantize().T * np.float32(factor), np.float32))
        return self.add("Add", product, self._bias(bias, size, factor)) if bias else product

    def multiply_columns(self, bytes_: str, table: EmbeddingTable, columns: str) -> str:
        """Adds nodes that multiply bytes of a table [c, d] with float values [d, n]. Returns the name of the result.

        Quantises each column of the values by its own largest absolute value.
        """
        most = self.weights.levels.most
        peaks = self.add("ReduceMax", self.add("Abs", columns), axes=[0], keepdims=0)
        shares, step = self.add("Div", columns, peaks), self.constant(1 / most, np.float32)
        quantized = self.add("QuantizeLinear", shares, step, self.constant(0, np.int8))
        unit, zero = self.constant(table.unit / most, np.float32), self.constant(ZERO_BYTE, np.uint8)
        return self.add("MatMulIntegerToFloat", bytes_, quantized, unit, peaks, zero, runtime=True)

    def multiply(self, x: str | Activation, name: str, bias_name: str, rows: int, columns: int) -> str:
        """Adds nodes that multiply a value with the matrix `name` and add its bias. Returns the name of the result.

        A value that is not quantised yet is quantised by the multiplier of the file.
        """
        bias = self._bias(bias_name, columns)
        if isinstance(x, Activation):
            return self._multiply_bytes(x, name, rows, columns, bias=bias)
        if self.weights.quantized:
            activation = self.quantize(x, self.weights.multiplier(name))
            return self._multiply_bytes(activation, name, rows, columns, bias=bias)
        matrix = self.weights.matrix(name, rows, columns)
        return self.add("Add", self.add("MatMul", x, self.constant(matrix.dequantize().T, np.float32)), bias)

    def feed_forward(self, x: str, prefix: str) -> str:
        """Adds the nodes of LayerNorm(x + W2 relu(W1 x + b1) + b2), and returns the name of the result."""
        inner, outer = self.weights.shape.ffn_dimension, self.weights.shape.dimension
        w1, w2, b1, b2 = (f"{prefix}_{name}" for name in ("W1", "W2", "b1", "b2"))
        hidden: str | Activation
        if self.weights.quantized:
            hidden = self._rectify_bytes(x, w1, b1, self.weights.multiplier(w2))
        else:
            hidden = self.add("Relu", self.multiply(x, w1, b1, outer, inner))
        return self.normalize(x, self.multiply(hidden, w2, b2, inner, outer), f"{prefix}_ffn_ln")

    def normalize(self, x: str, added: str, prefix: str) -> str:
        """Adds the nodes of LayerNorm(x + added), and returns the name of the result."""
        size = self.weights.shape.dimension
        scale, bias = (self._bias(f"{prefix}_{name}", size) for name in ("scale", "bias"))
        # The fused operator, SkipLayerNormalization, is not vectorised and takes seven times as long for 32 rows
        # (`python -m benchmarks.micro.operators`).
        total = self.add("Add", x, added)
        return self.add("LayerNormalization", total, scale, bias, axis=-1, epsilon=_LAYER_NORM_EPSILON)

    def loop(self, body: GraphProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Adds a node that repeats `body` (ONNX's `Loop`)."""
        self._add("Loop", inputs, list(outputs), {"body": body}, runtime=False)

    def enclose(self, inputs: Sequence[ValueInfoProto], outputs: Sequence[str]) -> GraphProto:
        """Returns the graph as the body of a `Loop` node, with these inputs and outputs."""
        described = [helper.make_empty_tensor_value_info(name) for name in outputs]
        return helper.make_graph(self.nodes, "body", list(inputs), described, self.constants)

    def finish(self, inputs: Sequence[ValueInfoProto], outputs: Sequence[str]) -> ModelProto:
        """Returns the graph as an ONNX model with these inputs and outputs. Declares no shapes of the outputs."""
        described = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "student", list(inputs), described, self.constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_RUNTIME, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _rectify_bytes(self, x: str, weight: str, bias: str, next_multiplier: float) -> Activation:
        """Adds nodes that compute relu(x W + b) and quantise it by `next_multiplier`, that of the next product.

        The byte 0 represents 0, so that quantisation cuts off negative values and all levels serve positive ones.
        """
        inner, outer = self.weights.shape.ffn_dimension, self.weights.shape.dimension
        levels = self.weights.levels
        matrix = self.weights.matrix(weight, outer, inner)
        activation = self.quantize(x, self.weights.multiplier(weight))
        bias_steps = np.rint(self.weights.vector(bias, inner) * (matrix.multiplier / activation.scale))
        scale = levels.scale(next_multiplier) * levels.most / (2 * levels.most + 1)
        name = self.add(
            "QGemm",
            activation.name,
            self.constant(activation.scale, np.float32),
            self.constant(activation.zero, np.uint8),
            self.constant(matrix.values.T, np.int8),
            self.constant(1 / matrix.multiplier, np.float32),
            self.constant(0, np.int8),
            self.constant(bias_steps, np.int32),
            self.constant(scale, np.float32),
            self.constant(0, np.uint8),
            runtime=True,
        )
        return Activation(name, scale, 0)

    def _multiply_bytes(
        self,
        x: Activation,
        name: str,
        rows: int,
        columns: int,
        factor: float = 1.0,
        *,
        bias: str = "",
        peaks: str = "",
    ) -> str:
        """Adds a node that multiplies bytes with an int8 matrix and `factor`, and returns the name of its output.

        It also adds `bias`, if given, and multiplies each row with its value in `peaks`, if given.
        """
        matrix = self.weights.matrix(name, rows, columns)
        unit = factor / matrix.multiplier
        return self.add(
            "MatMulIntegerToFloat",
            x.name,
            self.constant(matrix.values.T, np.int8),
            peaks or self.constant(x.scale, np.float32),
            self.constant(unit * x.scale if peaks else unit, np.float32),
            self.constant(x.zero, np.uint8),
            "",
            bias,
            runtime=True,
        )

    def _bias(self, name: str, size: int, factor: float = 1.0) -> str:
        return self.constant(self.weights.vector(name, size) * np.float32(factor), np.float32)

    def _add(
        self, operator: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, object], *, runtime: bool
    ) -> list[str]:
        domain = _RUNTIME if runtime else ""
        node = helper.make_node(operator, list(inputs), outputs, domain=domain)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in sorted(attributes.items()))
        self.nodes.append(node)
        return outputs
