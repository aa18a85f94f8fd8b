"""Conversions that the servicers share: spans, flags and usage to messages."""

from __future__ import annotations

from collections.abc import Iterable

from latimer.v1 import types_pb2
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage

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
        retried_segments=usage.retried_segments,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
    message.queue_time.FromMicroseconds(round(1e6 * usage.queue_seconds))
    message.compute_time.FromMicroseconds(round(1e6 * usage.compute_seconds))
    return message
