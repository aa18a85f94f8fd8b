"""The structures of the C interface of the students' C++ (`native/student.h`, which describes their members)."""

from __future__ import annotations

import ctypes

from latimer_server.backends.marian.weights import Array

Pointer, Int32, Int64, UInt64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_uint64
Float, Double = ctypes.c_float, ctypes.c_double


class Sizes(ctypes.Structure):
    """`LatimerSizes`."""

    _fields_ = [
        (name, Int32)
        for name in (
            "dimension",
            "heads",
            "ffn_dimension",
            "encoder_depth",
            "decoder_depth",
            "source_vocabulary",
            "target_vocabulary",
        )
    ]


class Tables(ctypes.Structure):
    """`LatimerTables`."""

    _fields_ = [
        ("source", Pointer),
        ("target", Pointer),
        ("source_unit", Float),
        ("target_unit", Float),
        ("output_unit", Float),
        ("output_bias", Pointer),
        ("shortlist_offsets", Pointer),
        ("shortlist_ids", Pointer),
        ("offset_count", UInt64),
        ("id_count", UInt64),
        ("first", Int32),
        ("shared", Int32),
    ]


class Matrix(ctypes.Structure):
    """`LatimerMatrix`."""

    _fields_ = [
        ("values", Pointer),
        ("bias", Pointer),
        ("rows", Int32),
        ("columns", Int32),
        ("multiplier", Float),
        ("activation_multiplier", Float),
    ]


class Norm(ctypes.Structure):
    """`LatimerNorm`."""

    _fields_ = [("scale", Pointer), ("bias", Pointer)]


class FeedForward(ctypes.Structure):
    """`LatimerFeedForward`."""

    _fields_ = [("inner", Matrix), ("outer", Matrix), ("norm", Norm)]


_ATTENTION = [
    *((name, Matrix) for name in ("query", "key", "value", "out")),
    ("norm", Norm),
    ("feed", FeedForward),
]


class EncoderLayer(ctypes.Structure):
    """`LatimerEncoderLayer`."""

    _fields_ = _ATTENTION


class DecoderLayer(ctypes.Structure):
    """`LatimerDecoderLayer`."""

    _fields_ = [("candidate", Matrix), ("forget", Matrix), ("cell_norm", Norm), *_ATTENTION]


class Output(ctypes.Structure):
    """`LatimerOutput`."""

    _fields_ = [
        *((name, Pointer) for name in ("ids", "counts", "finished", "scores", "focus", "weights")),
        ("rows", Int32),
        ("stride", Int32),
    ]


class Request(ctypes.Structure):
    """`LatimerRequest`."""

    _fields_ = [
        *((name, Pointer) for name in ("ids", "lengths", "caps", "positions", "poll_time")),
        *((name, Int64) for name in ("id_count", "position_values")),
        *((name, Int32) for name in ("rows", "aligned", "whole_vocabulary")),
        *((name, Int32) for name in ("beams", "hypotheses", "no_repeat_ngram_size")),
        *((name, Double) for name in ("length_penalty", "repetition_penalty")),
    ]


class Hypotheses(ctypes.Structure):
    """`LatimerHypotheses`."""

    _fields_ = [
        *((name, Pointer) for name in ("counts", "finished", "scores")),
        *((name, Int32) for name in ("rows", "hypotheses")),
    ]


class Tokens(ctypes.Structure):
    """`LatimerTokens`."""

    _fields_ = [*((name, Pointer) for name in ("ids", "focus", "weights")), ("size", Int64)]


def point(array: Array) -> int:
    """Returns the address of an array's data in memory."""
    return array.ctypes.data
