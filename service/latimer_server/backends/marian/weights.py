"""The arrays of a Marian student's file as computation wants them, checked for their sizes, and how activations are
quantised.

Knows no library that computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.engine import Floats
from latimer_server.backends.marian.model_file import MarianFile, QuantizedMatrix

# What the names of matrices end in that activations are multiplied with.
_PRODUCTS = frozenset({"Wq", "Wk", "Wv", "Wo", "W1", "W2", "W", "Wf"})

ZERO_BYTE = 128

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class QuantizationLevels:
    """How activations are quantised: a multiplier of the file maps its range to -`most`..`most`, kept in unsigned
    bytes with `zero` in the middle.

    All eight bits, or seven where a processor adds two products of bytes in 16 bits, which may overflow.
    """

    most: int = 127

    @property
    def zero(self) -> int:
        """The byte that stands for 0."""
        return self.most + 1

    def scale(self, multiplier: float) -> float:
        """The value of one step."""
        return 127 / self.most / multiplier


@dataclass(frozen=True)
class EmbeddingTable:
    """Embeddings, and after the last token's those of nothing: bytes (`ZERO_BYTE` is 0) and what one step is worth, or
    float32 and 1."""

    values: Array
    unit: float
    quantized: bool


class Weights:
    """Reads checked arrays of one file."""

    def __init__(self, source: MarianFile, shape: Architecture, levels: QuantizationLevels, *, quantized: bool) -> None:
        self.source = source
        self.shape = shape
        self.levels = levels
        self.quantized = quantized

    def embeddings(self, name: str, rows: int) -> EmbeddingTable:
        """A matrix of embeddings, in int8 where the file has it so and products are quantised."""
        if self.quantized and self.source.is_quantized(name):
            matrix = self.source.matrix(name, rows, self.shape.dimension, transposed=False)
            values = np.full((rows + 1, self.shape.dimension), ZERO_BYTE, np.uint8)
            # int8 and a byte whose 0 is 128 differ in their highest bit.
            np.bitwise_xor(matrix.values.view(np.uint8), ZERO_BYTE, out=values[:rows])
            return EmbeddingTable(values, 1 / matrix.multiplier, quantized=True)
        plain = np.zeros((rows + 1, self.shape.dimension), np.float32)
        plain[:rows] = self.source.embeddings(name, rows, self.shape.dimension)
        return EmbeddingTable(plain, 1.0, quantized=False)

    def matrix(self, name: str, rows: int, columns: int) -> QuantizedMatrix:
        """A matrix [columns, rows]."""
        return self.source.matrix(name, rows, columns, transposed=True)

    def vector(self, name: str, size: int) -> Floats:
        """A bias, or what a norm is scaled or moved by."""
        return self.source.float_vector(name, size)

    def multiplier(self, name: str) -> float:
        """The activations' before this matrix."""
        return self.source.multiplier(f"{name}_QuantMultA")


def has_multipliers(source: MarianFile) -> bool:
    """Whether the file says for every product how its activations are quantised."""
    names = source.names
    return all(f"{name}_QuantMultA" in names for name in names if name.rpartition("_")[2] in _PRODUCTS)


def read_tables(weights: Weights) -> tuple[EmbeddingTable, EmbeddingTable]:
    """The embeddings of source and target; one of both where they are shared. The target's are the output's too."""
    shape = weights.shape
    if shape.shared:
        table = weights.embeddings("Wemb", shape.target_vocabulary)
        return table, table
    return (
        weights.embeddings("encoder_Wemb", shape.source_vocabulary),
        weights.embeddings("decoder_Wemb", shape.target_vocabulary),
    )
