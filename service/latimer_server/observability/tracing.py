"""Tracing: records spans of calls and batches by OpenTelemetry and sends them to a collector over OTLP.

Imports OpenTelemetry, which the extra `[otel]` installs; nothing imports this module while traces are off. A call has a
span. Its pieces wait in a `queue` span below it. The `batch` span that computes pieces of several calls is below the
first of them and linked to all; below it the `backend` span is the work of the model alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from latimer_server.core.telemetry import BatchReport, TracedPiece

# Spans that wait for the collector; further ones are dropped.
_MOST_WAITING = 4_096
_MOST_AT_ONCE = 512
_EXPORT_SECONDS = 10.0
# Seconds that a closing server waits for the collector.
_CLOSING_SECONDS = 2.0
_PARENT = "traceparent"


class CallSpan:
    """The recorded span of one call."""

    def __init__(self, span: Span) -> None:
        self.span = span

    @property
    def trace_id(self) -> str:
        """The id of the trace, 32 hexadecimal digits."""
        return format_trace_id(self.span.get_span_context().trace_id)

    def end(self, code: str, attributes: Mapping[str, str | int | float]) -> None:
        """Ends the span with the name of a gRPC status code."""
        self.span.set_attribute("rpc.response.status_code", code)
        for name, value in attributes.items():
            self.span.set_attribute(f"latimer.{name}", value)
        if code != "OK":
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()


class Tracing:
    """Records the spans of calls. `share`: of the calls without `traceparent` that are recorded, from 0 to 1.

    `endpoint`: the URL of the collector; None takes OpenTelemetry's own environment variables. A collector that hangs
    or is gone costs calls nothing: spans wait in a bounded queue, which a thread sends.
    """

    def __init__(self, version: str, endpoint: str | None, share: float) -> None:
        resource = Resource.create({"service.name": "latimer-server", "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(
            endpoint, insecure=endpoint.startswith("http://") if endpoint else None, timeout=_EXPORT_SECONDS
        )
        self._processor = BatchSpanProcessor(exporter, _MOST_WAITING, max_export_batch_size=_MOST_AT_ONCE)
        self._provider.add_span_processor(self._processor)
        self._tracer: Tracer = self._provider.get_tracer("latimer_server", version)
        self._share = share
        self._propagator = TraceContextTextMapPropagator()
        # Difference of the wall clock and the monotonic clock, in nanoseconds.
        self._clock_offset = time.time_ns() - time.monotonic_ns()

    def begin_trace(self, path: str, metadata: Mapping[str, str | bytes]) -> CallSpan | None:
        """Starts the span of a call; None if it is not recorded."""
        parent = None
        if _PARENT in metadata:
            # Without `tracestate`: it holds whatever the caller writes, and spans must not.
            parent = self._propagator.extract({_PARENT: str(metadata[_PARENT])})
        elif random.random() >= self._share:
            return None
        service, _, method = path.removeprefix("/").rpartition("/")
        span = self._tracer.start_span(
            path.removeprefix("/"),
            parent,
            SpanKind.SERVER,
            {"rpc.system.name": "grpc", "rpc.service": service, "rpc.method": method},
        )
        return CallSpan(span) if span.is_recording() else None

    def note_batch(self, report: BatchReport) -> None:
        """Records the spans of a batch, if one of its calls is recorded."""
        first_pieces: dict[Any, TracedPiece] = {}
        for piece in report.traced:
            known = first_pieces.get(piece.call)
            if known is None or piece.queued < known.queued:
                first_pieces[piece.call] = piece
        if not first_pieces:
            return
        calls = [call.span for call in first_pieces if isinstance(call, CallSpan)]
        started, ended = self._to_wall(report.started), self._to_wall(report.ended)
        attributes: dict[str, str | int] = {
            "latimer.model": report.model,
            "latimer.rows": len(report.queue_seconds),
            "latimer.input_tokens": report.input_tokens,
            "latimer.output_tokens": report.output_tokens,
        }
        links = [Link(call.get_span_context()) for call in calls]
        batch = self._tracer.start_span(
            "batch", set_span_in_context(calls[0]), attributes=attributes, links=links, start_time=started
        )
        to_batch = [Link(batch.get_span_context())]
        for call, piece in zip(calls, first_pieces.values(), strict=True):
            waiting = self._tracer.start_span(
                "queue",
                set_span_in_context(call),
                attributes={"latimer.model": report.model},
                links=to_batch,
                start_time=self._to_wall(piece.queued),
            )
            waiting.end(started)
        backend = self._tracer.start_span(
            "backend",
            set_span_in_context(batch),
            attributes=attributes,
            start_time=self._to_wall(report.backend_started),
        )
        backend.end(self._to_wall(report.backend_ended))
        batch.end(ended)

    def close(self) -> None:
        """Sends the spans that wait, for at most two seconds."""
        self._processor.force_flush(round(1_000 * _CLOSING_SECONDS))

    def _to_wall(self, seconds: float) -> int:
        """Converts monotonic seconds to nanoseconds since the epoch."""
        return round(1e9 * seconds) + self._clock_offset
