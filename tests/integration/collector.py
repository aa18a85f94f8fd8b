"""An OTLP collector for tests: a gRPC service that keeps the spans that it receives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(TraceServiceServicer):
    """Keeps spans by name. `hang`: exports wait until `release` is set."""

    def __init__(self, *, hang: bool = False) -> None:
        self.spans: list[Span] = []
        self.raw: list[bytes] = []
        self.url = ""
        self.asked = threading.Event()
        self.release = threading.Event()
        if not hang:
            self.release.set()

    def Export(  # noqa: N802 (the protocol's name)
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self.asked.set()
        self.release.wait()
        self.raw.append(request.SerializeToString())
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return ExportTraceServiceResponse()

    def named(self, name: str) -> list[Span]:
        """Returns the spans with this name, in the order of their starts."""
        return sorted((span for span in self.spans if span.name == name), key=lambda s: s.start_time_unix_nano)


@contextmanager
def collecting(*, hang: bool = False) -> Iterator[Collector]:
    """Runs a collector on a free port."""
    collector = Collector(hang=hang)
    server = grpc.server(ThreadPoolExecutor(2))
    add_to_server: Callable[[TraceServiceServicer, grpc.Server], None] = add_TraceServiceServicer_to_server
    add_to_server(collector, server)
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        collector.release.set()
        server.stop(None).wait()


def read_attributes(span: Span) -> dict[str, str | int | float]:
    """Returns the attributes of a span."""
    values = ((attribute.key, attribute.value) for attribute in span.attributes)
    return {key: getattr(value, value.WhichOneof("value") or "string_value") for key, value in values}
