"""The weights of a Marian student as the students' C++ reads them, and which models it can compute."""

from __future__ import annotations

import math

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_structures import (
    DecoderLayer,
    EncoderLayer,
    FeedForward,
    Matrix,
    Norm,
    Sizes,
    Tables,
    point,
)
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.backends.marian.weights import Array, QuantizationLevels, Weights, has_multipliers, read_tables

# A network's sizes must be multiples of these: the kernels read blocks of 64 bytes and vectors of 16 values.
_BLOCK, _LANES = 64, 16


def supports_model(source: MarianFile, shape: Architecture) -> bool:
    """True if the kernels can compute this network: int8 with activation multipliers, and sizes that fill registers."""
    depth = shape.dimension // shape.heads
    return (
        has_multipliers(source)
        and all(source.is_quantized(name) for name in _name_tables(shape))
        and shape.dimension % _BLOCK == shape.ffn_dimension % _BLOCK == depth % _LANES == 0
    )


def _name_tables(shape: Architecture) -> tuple[str, ...]:
    return ("Wemb",) if shape.shared else ("encoder_Wemb", "decoder_Wemb")


class WeightStructures:
    """Builds the C structures that point the library to the arrays of a model file.

    `kept` are the arrays that it points to as long as the student is loaded. It copies the matrices (`matrix_bytes`).
    """

    def __init__(self, source: MarianFile, shape: Architecture) -> None:
        self._source, self._shape = source, shape
        self._weights = Weights(source, shape, QuantizationLevels(), quantized=True)
        self.kept: list[Array] = []
        self.matrix_bytes = 0

    def sizes(self) -> Sizes:
        """Returns the structure of the network's sizes."""
        shape = self._shape
        return Sizes(
            shape.dimension,
            shape.heads,
            shape.ffn_dimension,
            shape.encoder_depth,
            shape.decoder_depth,
            shape.source_vocabulary,
            shape.target_vocabulary,
        )

    def encoder_layer(self, number: int) -> EncoderLayer:
        """Returns the structure of an encoder layer; the first is 1."""
        return EncoderLayer(*self._attention(f"encoder_l{number}_self", f"encoder_l{number}_ffn"))

    def decoder_layer(self, number: int) -> DecoderLayer:
        """Returns the structure of a decoder layer; the first is 1."""
        cell, d = f"decoder_l{number}_rnn", self._shape.dimension
        return DecoderLayer(
            self._matrix(f"{cell}_W", "", d, d),
            self._matrix(f"{cell}_Wf", f"{cell}_bf", d, d),
            self._norm(f"{cell}_ffn_ln"),
            *self._attention(f"decoder_l{number}_context", f"decoder_l{number}_ffn"),
        )

    def tables(self, shortlist: Shortlist | None) -> Tables:
        """Returns the structure of the embeddings, the output bias and the shortlist, if there is one."""
        source, target = read_tables(self._weights)
        factor = math.sqrt(self._shape.dimension)
        bias = self._source.float_vector("decoder_ff_logit_out_b", self._shape.target_vocabulary)
        offsets = ids = None
        if shortlist is not None:
            self.kept += shortlist.offsets, shortlist.ids
            offsets, ids = point(shortlist.offsets), point(shortlist.ids)
        return Tables(
            self._keep(source.values),
            self._keep(target.values),
            source.unit * factor,
            target.unit * factor,
            target.unit,
            self._keep(bias),
            offsets,
            ids,
            len(shortlist.offsets) if shortlist else 0,
            len(shortlist.ids) if shortlist else 0,
            shortlist.first if shortlist else 0,
            int(self._shape.shared),
        )

    def _attention(self, prefix: str, feed: str) -> tuple[Matrix, Matrix, Matrix, Matrix, Norm, FeedForward]:
        """Returns structures for the items of an attention and a feed-forward layer, as `_ATTENTION` orders them."""
        d, inner = self._shape.dimension, self._shape.ffn_dimension
        query, key, value = (self._matrix(f"{prefix}_W{which}", f"{prefix}_b{which}", d, d) for which in "qkv")
        return (
            query,
            key,
            value,
            self._matrix(f"{prefix}_Wo", f"{prefix}_bo", d, d, fixed=True),
            self._norm(f"{prefix}_Wo_ln"),
            FeedForward(
                self._matrix(f"{feed}_W1", f"{feed}_b1", d, inner, fixed=True),
                self._matrix(f"{feed}_W2", f"{feed}_b2", inner, d, fixed=True),
                self._norm(f"{feed}_ffn_ln"),
            ),
        )

    def _matrix(self, name: str, bias: str, rows: int, columns: int, *, fixed: bool = False) -> Matrix:
        """Returns the structure of the int8 matrix `name` [rows, columns] and of its bias, if that is not "".

        With `fixed` the activations that it multiplies are quantised by the multiplier of the file, otherwise each row
        by its own largest value.
        """
        matrix = self._weights.matrix(name, rows, columns)
        self.matrix_bytes += matrix.values.nbytes
        return Matrix(
            point(matrix.values),
            self._keep(self._weights.vector(bias, columns)) if bias else None,
            rows,
            columns,
            matrix.multiplier,
            self._weights.multiplier(name) if fixed else 0.0,
        )

    def _norm(self, prefix: str) -> Norm:
        size = self._shape.dimension
        return Norm(*(self._keep(self._weights.vector(f"{prefix}_{name}", size)) for name in ("scale", "bias")))

    def _keep(self, array: Array) -> int:
        """Keeps an array and returns its address. Copies views of the file's bytes, so that these can be released."""
        owned = array if array.flags.owndata else array.copy()
        if not any(owned is other for other in self.kept):
            self.kept.append(owned)
        return point(owned)
