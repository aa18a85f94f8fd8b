"""Server telemetry: gives the reports of the layers to metrics and traces, whichever are on."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from latimer_server.config.collector_address import check_collector
from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError, OverloadBound
from latimer_server.core.flags import Flag
from latimer_server.core.telemetry import BatchReport, Trace
from latimer_server.observability.metrics import Metrics

if TYPE_CHECKING:
    from latimer_server.observability.tracing import Tracing

_CLOSING_SECONDS = 2.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class TracingError(LatimerError):
    """Traces are on, and OpenTelemetry is not installed."""


class ServerTelemetry:
    """Implements `Telemetry`. `metrics` and `tracing`: None if they are off."""

    def __init__(self, metrics: Metrics | None, tracing: Tracing | None) -> None:
        self.metrics = metrics
        self._tracing = tracing

    def add_method(self, path: str, grpc_type: str) -> None:
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.add_method(path, grpc_type)

    def note_call_start(self, path: str) -> None:
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_call_start(path)

    def note_call_end(self, path: str, code: str, seconds: float | None) -> None:
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_call_end(path, code, seconds)

    def note_refusal(self, reason: str, bound: OverloadBound | None = None) -> None:
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_refusal(reason, bound)

    def note_batch(self, report: BatchReport) -> None:
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_batch(report)
        if self._tracing and report.traced:
            self._tracing.note_batch(report)

    def note_load(self, model: str, succeeded: bool, seconds: float) -> None:  # noqa: FBT001
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_load(model, succeeded, seconds)

    def note_words(self, model: str, words: int) -> None:
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_words(model, words)

    def note_flag(self, flag: Flag, times: int) -> None:
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_flag(flag, times)

    def note_reload(self, part: str, succeeded: bool) -> None:  # noqa: FBT001 (as listeners of reloads are called)
        """See `Telemetry`."""
        if self.metrics:
            self.metrics.note_reload(part, succeeded)

    def begin_trace(self, path: str, metadata: Mapping[str, str | bytes]) -> Trace | None:
        """See `Telemetry`."""
        return self._tracing.begin_trace(path, metadata) if self._tracing else None

    def close(self) -> None:
        """Ends the recording of traces and sends the spans that wait.

        A collector that hangs holds this up for two seconds at most.
        """
        tracing, self._tracing = self._tracing, None
        if tracing:
            closing = threading.Thread(target=tracing.close, name="trace-close", daemon=True)
            closing.start()
            closing.join(_CLOSING_SECONDS)


def check_collector_variables() -> None:
    """Raises `TracingError` if a variable of OpenTelemetry names a collector that cannot be used, or a password."""
    for name in _ENDPOINTS:
        try:
            if address := os.environ.get(name):
                check_collector(address)
        except ValueError as error:
            raise TracingError(f"{name}: {error}") from None


def open_tracing(settings: Settings, version: str) -> Tracing | None:
    """Returns the recorder of traces; None if neither a setting nor the environment names a collector.

    Raises `TracingError` if OpenTelemetry is not installed, or a variable names a collector that cannot be used.
    """
    check_collector_variables()
    if not settings.otlp_endpoint and not any(map(os.environ.get, _ENDPOINTS)):
        return None
    # A full queue is logged for each span otherwise, and the lines of failed exports repeat.
    logging.getLogger("opentelemetry.sdk").setLevel(logging.ERROR)
    try:
        from latimer_server.observability.tracing import Tracing
    except ImportError as error:
        raise TracingError(
            f"traces need OpenTelemetry, and {error.name} is not installed: pip install '.[otel]' in a clone, or unset"
            " otlp_endpoint and OTEL_EXPORTER_OTLP_ENDPOINT"
        ) from error
    return Tracing(version, settings.otlp_endpoint or None, settings.trace_share)
