"""Greedy search over a Marian student in C++ (the folder `native`): computes a whole batch in one call, with int8
products in the processor's vector or matrix instructions.

Beam search needs an `Engine`. The C++ is optional (see `native_library`). Without it callers use an `Engine` for greedy
search too.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.engine import sinusoids
from latimer_server.backends.marian.length_cap import STEPS_PER_CANCEL_CHECK, output_cap
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_library import InstructionSet, open_library
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.backends.marian.weights import Array, QuantizationLevels, Weights, has_multipliers, read_tables
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds

# The number of position embeddings that are computed in advance. Longer outputs need an explicit request of a caller.
_POSITIONS = 512
# With more rows than these a batch polls for cancellation after so many steps, since a step takes up to a millisecond.
_FEW_ROWS, _FEW_STEPS = 4, 8
# A network's sizes must be multiples of these: the kernels read blocks of 64 bytes and vectors of 16 values.
_BLOCK, _LANES = 64, 16

_Pointer, _Int, _Float = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float


class _Sizes(ctypes.Structure):
    _fields_ = [
        (name, _Int)
        for name in ("dimension", "heads", "ffn_dimension", "encoder_depth", "decoder_depth", "target_vocabulary")
    ]


class _Tables(ctypes.Structure):
    _fields_ = [
        ("source", _Pointer),
        ("target", _Pointer),
        ("source_unit", _Float),
        ("target_unit", _Float),
        ("output_unit", _Float),
        ("output_bias", _Pointer),
        ("shortlist_offsets", _Pointer),
        ("shortlist_ids", _Pointer),
        ("first", _Int),
        ("shared", _Int),
    ]


class _Matrix(ctypes.Structure):
    _fields_ = [
        ("values", _Pointer),
        ("bias", _Pointer),
        ("columns", _Int),
        ("multiplier", _Float),
        ("activation_multiplier", _Float),
    ]


class _Norm(ctypes.Structure):
    _fields_ = [("scale", _Pointer), ("bias", _Pointer)]


class _FeedForward(ctypes.Structure):
    _fields_ = [("inner", _Matrix), ("outer", _Matrix), ("norm", _Norm)]


_ATTENTION = [
    *((name, _Matrix) for name in ("query", "key", "value", "out")),
    ("norm", _Norm),
    ("feed", _FeedForward),
]


class _EncoderLayer(ctypes.Structure):
    _fields_ = _ATTENTION


class _DecoderLayer(ctypes.Structure):
    _fields_ = [("candidate", _Matrix), ("forget", _Matrix), ("cell_norm", _Norm), *_ATTENTION]


class _Output(ctypes.Structure):
    _fields_ = [
        *((name, _Pointer) for name in ("ids", "counts", "finished", "scores", "focus", "weights")),
        ("stride", _Int),
    ]


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


class NativeStudent:
    """A student in the C++ library: its weights, packed for the processor, and greedy search. Thread-safe.

    Without a `shortlist` every token of the vocabulary is a candidate. `instructions`: the processor must have them.
    `library` replaces the installed one. The caller must check `supports_model` first. Raises `ModelFileError` naming a
    bad file.
    """

    def __init__(
        self,
        source: MarianFile,
        shape: Architecture,
        shortlist: Shortlist | None,
        instructions: InstructionSet,
        library: ctypes.CDLL | None = None,
    ) -> None:
        library = library or open_library()
        assert library is not None  # noqa: S101 (without it `choose_instruction_set` returns None)
        self._library = library
        self.instructions = instructions
        self._dimension = shape.dimension
        self._positions = sinusoids(_POSITIONS, shape.dimension)
        packing = _PackedWeights(source, shape)
        encoder = (_EncoderLayer * shape.encoder_depth)(*map(packing.encoder_layer, range(1, shape.encoder_depth + 1)))
        decoder = (_DecoderLayer * shape.decoder_depth)(*map(packing.decoder_layer, range(1, shape.decoder_depth + 1)))
        tables = packing.tables(shortlist)
        sizes = _Sizes(
            shape.dimension,
            shape.heads,
            shape.ffn_dimension,
            shape.encoder_depth,
            shape.decoder_depth,
            shape.target_vocabulary,
        )
        student = library.latimer_load(*map(ctypes.byref, (sizes, tables, encoder, decoder)), int(instructions))
        if not student:
            raise MemoryError("no memory for the weights of a model")
        self._student = student
        # Not at the end of the process: a batch may still use it.
        weakref.finalize(self, library.latimer_unload, student).atexit = False
        self._kept = packing.kept  # the arrays that the library points to
        self.memory_bytes = packing.matrix_bytes + sum(array.nbytes for array in self._kept)

    def search(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """Runs greedy search. The output of a row does not depend on the others. See `GeneratorBackend.run`."""
        library, count = self._library, len(batch)
        lengths = np.array([len(row) for row in batch], np.int32)
        ids = np.fromiter((token for row in batch for token in row), np.int32, int(lengths.sum()))
        caps = np.array([output_cap(len(row), options) for row in batch], np.int32)
        source_positions = self._positions_from(0, int(lengths.max()))
        handle = library.latimer_begin(
            self._student, count, *map(_point, (ids, lengths, caps, source_positions)), int(options.alignment)
        )
        if not handle:
            raise MemoryError("no memory for a batch")
        try:
            steps = _FEW_STEPS if count > _FEW_ROWS else STEPS_PER_CANCEL_CHECK
            output = _NativeOutput(count, steps, aligned=options.alignment)
            position, left = 0, count
            while library.latimer_encode(handle, 1) > 0:
                if cancelled():
                    left = 0
                    break
            while left > 0 and not (position and cancelled()):
                output.reset()
                positions = self._positions_from(position, steps)
                left = library.latimer_advance(handle, steps, _point(positions), ctypes.byref(output.arrays))
                if left < 0:
                    raise MemoryError("no memory for a batch")
                output.collect()
                position += steps
        finally:
            library.latimer_end(handle)
        return output.list_hypotheses()

    def _positions_from(self, first: int, count: int) -> npt.NDArray[np.float32]:
        """Returns the embeddings [count, d] of the positions from `first` on."""
        if first + count <= len(self._positions):
            return self._positions[first : first + count]
        return sinusoids(first + count, self._dimension)[first:]


class _NativeOutput:
    """The output of all rows of a batch so far, and the arrays that the library writes the next `steps` steps to."""

    def __init__(self, rows: int, steps: int, *, aligned: bool) -> None:
        self._aligned = aligned
        self._ids = np.zeros((rows, steps), np.int32)
        self._counts = np.zeros(rows, np.int32)
        self._finished = np.zeros(rows, np.uint8)
        self._scores = np.zeros(rows, np.float64)
        shape = (rows, steps) if aligned else (0, 0)
        self._focus, self._weights = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        self._tokens: list[list[int]] = [[] for _ in range(rows)]
        self._links: list[list[tuple[int, float]]] = [[] for _ in range(rows)]
        self.arrays = _Output(
            _point(self._ids),
            _point(self._counts),
            _point(self._finished),
            _point(self._scores),
            _point(self._focus),
            _point(self._weights),
            steps,
        )

    def reset(self) -> None:
        """Sets the number of new tokens of each row to 0 before a call of the library, which skips ended rows."""
        self._counts[:] = 0

    def collect(self) -> None:
        """Appends the tokens that the last call of the library wrote to the output of each row."""
        for row, count in enumerate(self._counts.tolist()):
            if count:
                self._tokens[row] += self._ids[row, :count].tolist()
                if self._aligned:
                    focus, weights = self._focus[row, :count].tolist(), self._weights[row, :count].tolist()
                    self._links[row] += zip(focus, weights, strict=True)

    def list_hypotheses(self) -> list[Hypothesis]:
        """Returns the hypothesis of each row, in the order of the batch."""
        rows = zip(self._tokens, self._scores.tolist(), self._finished.tolist(), self._links, strict=True)
        return [
            Hypothesis(tuple(tokens), score, truncated=not finished, alignment=tuple(links))
            for tokens, score, finished, links in rows
        ]


class _PackedWeights:
    """Builds the C structures that point the library to the arrays of a model file.

    `kept` are the arrays that it points to as long as the student is loaded. It copies the matrices (`matrix_bytes`).
    """

    def __init__(self, source: MarianFile, shape: Architecture) -> None:
        self._source, self._shape = source, shape
        self._weights = Weights(source, shape, QuantizationLevels(), quantized=True)
        self.kept: list[Array] = []
        self.matrix_bytes = 0

    def encoder_layer(self, number: int) -> _EncoderLayer:
        return _EncoderLayer(*self._attention(f"encoder_l{number}_self", f"encoder_l{number}_ffn"))

    def decoder_layer(self, number: int) -> _DecoderLayer:
        cell, d = f"decoder_l{number}_rnn", self._shape.dimension
        return _DecoderLayer(
            self._matrix(f"{cell}_W", "", d, d),
            self._matrix(f"{cell}_Wf", f"{cell}_bf", d, d),
            self._norm(f"{cell}_ffn_ln"),
            *self._attention(f"decoder_l{number}_context", f"decoder_l{number}_ffn"),
        )

    def tables(self, shortlist: Shortlist | None) -> _Tables:
        source, target = read_tables(self._weights)
        factor = math.sqrt(self._shape.dimension)
        bias = self._source.float_vector("decoder_ff_logit_out_b", self._shape.target_vocabulary)
        offsets = ids = None
        if shortlist is not None:
            self.kept += shortlist.offsets, shortlist.ids
            offsets, ids = _point(shortlist.offsets), _point(shortlist.ids)
        return _Tables(
            self._keep(source.values),
            self._keep(target.values),
            source.unit * factor,
            target.unit * factor,
            target.unit,
            self._keep(bias),
            offsets,
            ids,
            shortlist.first if shortlist else 0,
            int(self._shape.shared),
        )

    def _attention(self, prefix: str, feed: str) -> tuple[_Matrix, _Matrix, _Matrix, _Matrix, _Norm, _FeedForward]:
        """Returns structures for the items of an attention and a feed-forward layer, as `_ATTENTION` orders them."""
        d, inner = self._shape.dimension, self._shape.ffn_dimension
        query, key, value = (self._matrix(f"{prefix}_W{which}", f"{prefix}_b{which}", d, d) for which in "qkv")
        return (
            query,
            key,
            value,
            self._matrix(f"{prefix}_Wo", f"{prefix}_bo", d, d, fixed=True),
            self._norm(f"{prefix}_Wo_ln"),
            _FeedForward(
                self._matrix(f"{feed}_W1", f"{feed}_b1", d, inner, fixed=True),
                self._matrix(f"{feed}_W2", f"{feed}_b2", inner, d, fixed=True),
                self._norm(f"{feed}_ffn_ln"),
            ),
        )

    def _matrix(self, name: str, bias: str, rows: int, columns: int, *, fixed: bool = False) -> _Matrix:
        """Returns the structure of the int8 matrix `name` [rows, columns] and of its bias, if that is not "".

        With `fixed` the activations that it multiplies are quantised by the multiplier of the file, otherwise each row
        by its own largest value.
        """
        matrix = self._weights.matrix(name, rows, columns)
        self.matrix_bytes += matrix.values.nbytes
        return _Matrix(
            _point(matrix.values),
            self._keep(self._weights.vector(bias, columns)) if bias else None,
            columns,
            matrix.multiplier,
            self._weights.multiplier(name) if fixed else 0.0,
        )

    def _norm(self, prefix: str) -> _Norm:
        size = self._shape.dimension
        return _Norm(*(self._keep(self._weights.vector(f"{prefix}_{name}", size)) for name in ("scale", "bias")))

    def _keep(self, array: Array) -> int:
        """Keeps an array and returns its address. Copies views of the file's bytes, so that these can be released."""
        owned = array if array.flags.owndata else array.copy()
        if not any(owned is other for other in self.kept):
            self.kept.append(owned)
        return _point(owned)


def _point(array: Array) -> int:
    """Returns the address of an array's data in memory."""
    return array.ctypes.data
