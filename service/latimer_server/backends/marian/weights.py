"""Reads the arrays of a Marian student's file for the engines: checks their sizes and says how activations are
quantised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.engine import Floats
from latimer_server.backends.marian.model_file import MarianFile, QuantizedMatrix

# The endings of the names of matrices in a model file that are multiplied with activations.
_PRODUCTS = frozenset({"Wq", "Wk", "Wv", "Wo", "W1", "W2", "W", "Wf"})

# The byte that represents 0 in a quantised embedding matrix.
ZERO_BYTE = 128

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class QuantizationLevels:
    """The levels of quantised activations: integers from -`most` to `most`, stored as unsigned bytes around `zero`.

    `most` is 127 for eight bits. It is 63 (seven bits) on processors that add two products of bytes in 16 bits,
    where eight bits could overflow.
    """

    most: int = 127

    @property
    def zero(self) -> int:
        """The byte that represents 0."""
        return self.most + 1

    def scale(self, multiplier: float) -> float:
        """Returns the value of one level, if `multiplier` (of the file) maps activations to the range -127..127."""
        return 127 / self.most / multiplier


@dataclass(frozen=True)
class EmbeddingTable:
    """An embedding matrix [vocabulary + 1, d]. Its last row is zero and serves as the embedding before the first token.

    `values` are bytes, where `ZERO_BYTE` represents 0 and `unit` is the value of one step; or float32, with a `unit`
    of 1.
    """

    values: Array
    unit: float
    quantized: bool


class Weights:
    """Reads the arrays of one model file by name and checks their sizes. `quantized`: whether products are in int8."""

    def __init__(self, source: MarianFile, shape: Architecture, levels: QuantizationLevels, *, quantized: bool) -> None:
        self.source = source
        self.shape = shape
        self.levels = levels
        self.quantized = quantized

    def embeddings(self, name: str, rows: int) -> EmbeddingTable:
        """Returns an embedding matrix and a zero row: bytes if it is int8 in the file and `quantized`, else float32."""
        if self.quantized and self.source.is_quantized(name):
            matrix = self.source.matrix(name, rows, self.shape.dimension, transposed=False)
            values = np.full((rows + 1, self.shape.dimension), ZERO_BYTE, np.uint8)
            # An int8 and an unsigned byte around 128 differ in their highest bit only.
            np.bitwise_xor(matrix.values.view(np.uint8), ZERO_BYTE, out=values[:rows])
            return EmbeddingTable(values, 1 / matrix.multiplier, quantized=True)
        plain = np.zeros((rows + 1, self.shape.dimension), np.float32)
        plain[:rows] = self.source.embeddings(name, rows, self.shape.dimension)
        return EmbeddingTable(plain, 1.0, quantized=False)

    def matrix(self, name: str, rows: int, columns: int) -> QuantizedMatrix:
        """Returns an int8 matrix of the shape [rows, columns], transposed: [columns, rows]."""
        return self.source.matrix(name, rows, columns, transposed=True)

    def vector(self, name: str, size: int) -> Floats:
        """Returns the float32 vector of `size` values: a bias, or the scale of a norm."""
        return self.source.float_vector(name, size)

    def multiplier(self, name: str) -> float:
        """Returns the multiplier that quantises the activations with which the matrix `name` is multiplied."""
        return self.source.multiplier(f"{name}_QuantMultA")


def has_multipliers(source: MarianFile) -> bool:
    """True if the file has an activation multiplier for every matrix that is multiplied with activations."""
    names = source.names
    return all(f"{name}_QuantMultA" in names for name in names if name.rpartition("_")[2] in _PRODUCTS)


def read_tables(weights: Weights) -> tuple[EmbeddingTable, EmbeddingTable]:
    """Reads the embedding matrices of source and target: returns the same table twice if they are shared.

    The output layer uses the target's.
    """
    shape = weights.shape
    if shape.shared:
        table = weights.embeddings("Wemb", shape.target_vocabulary)
        return table, table
    return (
        weights.embeddings("encoder_Wemb", shape.source_vocabulary),
        weights.embeddings("decoder_Wemb", shape.target_vocabulary),
    )
