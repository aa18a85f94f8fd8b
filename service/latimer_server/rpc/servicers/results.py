"""Conversions that the servicers share: spans, flags and usage to protobuf, and the deadline of a call."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import grpc

from latimer.v1 import types_pb2
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage

Context = grpc.aio.ServicerContext[Any, Any]

_FLAGS = {flag: types_pb2.Flag.Value(f"FLAG_{flag.name}") for flag in Flag}


def to_span(span: TextSpan) -> types_pb2.Span:
    """Returns the protobuf message of a span, in code points."""
    return types_pb2.Span(start=span.start, end=span.end)


def to_flags(flags: Iterable[Flag]) -> list[types_pb2.Flag.ValueType]:
    """Returns the values of the contract's `Flag` enum for these flags, in order."""
    return [_FLAGS[flag] for flag in flags]


def to_usage(usage: Usage) -> types_pb2.Usage:
    """Returns the protobuf message of a call's usage."""
    message = types_pb2.Usage(
        characters=usage.characters,
        segments=usage.segments,
        cached_segments=usage.cached_segments,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
    message.queue_time.FromMicroseconds(round(1e6 * usage.queue_seconds))
    message.compute_time.FromMicroseconds(round(1e6 * usage.compute_seconds))
    return message


def read_deadline(context: Context) -> float | None:
    """Returns the deadline of a call in seconds of the monotonic clock; None if the call has no deadline."""
    remaining = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining
