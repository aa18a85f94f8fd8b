"""The parts that the graphs of a Marian student are made of: quantised products, feed-forward layers, norms.

Sources: Vaswani et al. 2017 (post-norm layers), the operators of ONNX 17 and of ONNX Runtime's own domain. Matrices
stay int8 as they lie in the file; activations are quantised by the file's own multipliers or by their own row, neither
of which depends on what stands beside it; a file without multipliers is computed in float32. Knows no layer's order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from latimer_server.backends.marian.weights import ZERO_BYTE, EmbeddingTable, Weights

# Not in the file; 1e-5 to 1e-9 give the same text (facts.md section 2). Marian's own default.
_LAYER_NORM_EPSILON = 1e-6
_OPSET, _IR_VERSION = 17, 9
_RUNTIME = "com.microsoft"


@dataclass(frozen=True)
class Activation:
    """A value in unsigned bytes: (byte - zero) * scale."""

    name: str
    scale: float
    zero: int


@dataclass
class Graph:
    """A graph being built; every value has a name of its own, which begins with `label`."""

    weights: Weights
    label: str = ""
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    rows: dict[str, tuple[Activation, str]] = field(default_factory=dict)  # what was quantised by its rows

    def add(self, operator: str, *inputs: str, out: str = "", runtime: bool = False, **attributes: Any) -> str:  # noqa: ANN401
        """A node of one output, whose name it gives."""
        return self._add(
            operator, inputs, [out or f"{self.label}{operator}{len(self.nodes)}"], attributes, runtime=runtime
        )[0]

    def add_pair(self, operator: str, *inputs: str, **attributes: Any) -> tuple[str, str]:  # noqa: ANN401
        """A node of two outputs."""
        number = len(self.nodes)
        first, second = self._add(
            operator, inputs, [f"{self.label}{operator}{number}_{n}" for n in (0, 1)], attributes, runtime=False
        )
        return first, second

    def constant(self, value: object, type_: npt.DTypeLike) -> str:
        """An array that is part of the model."""
        name = f"{self.label}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, type_, order="C"), name))
        return name

    def single(self, value: object, type_: npt.DTypeLike) -> TensorProto:
        """An array of one element, as an attribute."""
        return numpy_helper.from_array(np.array([value], type_))

    def quantize(self, x: str, multiplier: float) -> Activation:
        """A value in bytes."""
        levels = self.weights.levels
        scale = levels.scale(multiplier)
        zero = self.constant(levels.zero, np.uint8)
        name = self.add("QuantizeLinear", x, self.constant(scale, np.float32), zero)
        return Activation(name, scale, levels.zero)

    def embed(self, table: EmbeddingTable, ids: str) -> str:
        """The embeddings of ids, times sqrt(d)."""
        found, factor = self.add("Gather", "embeddings", ids), math.sqrt(self.weights.shape.dimension)
        if not table.quantized:
            return self.add("Mul", found, self.constant(factor, np.float32))
        zero = self.constant(ZERO_BYTE, np.uint8)
        return self.add("DequantizeLinear", found, self.constant(table.unit * factor, np.float32), zero)

    def quantize_rows(self, x: str) -> tuple[Activation, str]:
        """A value in bytes, each row by its own largest absolute value, and the name of those values."""
        if x not in self.rows:
            peaks = self.add("ReduceMax", self.add("Abs", x), axes=[-1], keepdims=1)
            self.rows[x] = self.quantize(self.add("Div", x, peaks), 127.0), peaks
        return self.rows[x]

    def multiply_rows(self, x: str, name: str, bias: str, size: int, factor: float = 1.0) -> str:
        """A normalised value times a square matrix, plus its `bias` if it has one, all of it times `factor`.

        Bytes are by each row's own largest value: the file's multipliers cut off rows with outliers, and what is cut
        off here is missing from every later layer (docs/decisions.md has what each way costs and gains).
        """
        if self.weights.quantized:
            read, peaks = self.quantize_rows(x)
            product = self._multiply_bytes(read, name, size, size, factor, peaks=peaks)
        else:
            matrix = self.weights.matrix(name, size, size)
            product = self.add("MatMul", x, self.constant(matrix.dequantize().T * np.float32(factor), np.float32))
        return self.add("Add", product, self._bias(bias, size, factor)) if bias else product

    def multiply_columns(self, bytes_: str, table: EmbeddingTable, columns: str) -> str:
        """Some of a table's embeddings [c, d] times values [d, n], each column in bytes by its own largest absolute
        value."""
        most = self.weights.levels.most
        peaks = self.add("ReduceMax", self.add("Abs", columns), axes=[0], keepdims=0)
        shares, step = self.add("Div", columns, peaks), self.constant(1 / most, np.float32)
        read = self.add("QuantizeLinear", shares, step, self.constant(0, np.int8))
        unit, zero = self.constant(table.unit / most, np.float32), self.constant(ZERO_BYTE, np.uint8)
        return self.add("MatMulIntegerToFloat", bytes_, read, unit, peaks, zero, runtime=True)

    def multiply(self, x: str | Activation, name: str, bias_name: str, rows: int, columns: int) -> str:
        """A value, or one in bytes, times a matrix, plus its bias. Bytes are by the file's multiplier."""
        bias = self._bias(bias_name, columns)
        if isinstance(x, Activation):
            return self._multiply_bytes(x, name, rows, columns, bias=bias)
        if self.weights.quantized:
            read = self.quantize(x, self.weights.multiplier(name))
            return self._multiply_bytes(read, name, rows, columns, bias=bias)
        matrix = self.weights.matrix(name, rows, columns)
        return self.add("Add", self.add("MatMul", x, self.constant(matrix.dequantize().T, np.float32)), bias)

    def feed_forward(self, x: str, prefix: str) -> str:
        """LayerNorm(x + W2 relu(W1 x + b1) + b2)."""
        inner, outer = self.weights.shape.ffn_dimension, self.weights.shape.dimension
        w1, w2, b1, b2 = (f"{prefix}_{name}" for name in ("W1", "W2", "b1", "b2"))
        hidden: str | Activation
        if self.weights.quantized:
            hidden = self._rectify_bytes(x, w1, b1, self.weights.multiplier(w2))
        else:
            hidden = self.add("Relu", self.multiply(x, w1, b1, outer, inner))
        return self.normalize(x, self.multiply(hidden, w2, b2, inner, outer), f"{prefix}_ffn_ln")

    def normalize(self, x: str, added: str, prefix: str) -> str:
        """LayerNorm(x + added)."""
        size = self.weights.shape.dimension
        scale, bias = (self._bias(f"{prefix}_{name}", size) for name in ("scale", "bias"))
        # SkipLayerNormalization, which is both in one, computes one value after the other: seven times as long for
        # 32 rows (`python -m benchmarks.micro.operators`).
        total = self.add("Add", x, added)
        return self.add("LayerNormalization", total, scale, bias, axis=-1, epsilon=_LAYER_NORM_EPSILON)

    def loop(self, body: GraphProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Runs `body` again and again (ONNX's `Loop`)."""
        self._add("Loop", inputs, list(outputs), {"body": body}, runtime=False)

    def enclose(self, inputs: Sequence[ValueInfoProto], outputs: Sequence[str]) -> GraphProto:
        """What was built, as the body of a loop."""
        found = [helper.make_empty_tensor_value_info(name) for name in outputs]
        return helper.make_graph(self.nodes, "body", list(inputs), found, self.constants)

    def finish(self, inputs: Sequence[ValueInfoProto], outputs: Sequence[str]) -> ModelProto:
        """The model. Shapes of outputs are left open."""
        found = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "student", list(inputs), found, self.constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_RUNTIME, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _rectify_bytes(self, x: str, weight: str, bias: str, next_multiplier: float) -> Activation:
        """relu(x W + b) in bytes: what is negative is cut off by a zero at the lowest of them, so that the levels of
        one sign serve the other."""
        inner, outer = self.weights.shape.ffn_dimension, self.weights.shape.dimension
        levels = self.weights.levels
        matrix = self.weights.matrix(weight, outer, inner)
        read = self.quantize(x, self.weights.multiplier(weight))
        bias_steps = np.rint(self.weights.vector(bias, inner) * (matrix.multiplier / read.scale))
        scale = levels.scale(next_multiplier) * levels.most / (2 * levels.most + 1)
        name = self.add(
            "QGemm",
            read.name,
            self.constant(read.scale, np.float32),
            self.constant(read.zero, np.uint8),
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
        """Bytes times a matrix, plus `bias`, or each row of it times its one of `peaks`."""
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
        self, operator: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, Any], *, runtime: bool
    ) -> list[str]:
        domain = _RUNTIME if runtime else ""
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, domain=domain, **attributes))
        return outputs
