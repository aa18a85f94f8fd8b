"""Whether traces are on, and what a server without OpenTelemetry says."""

from __future__ import annotations

import sys

import pytest

from latimer_server.config.settings import Settings
from latimer_server.observability.server_telemetry import TracingError, open_tracing


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_traces_are_off_without_a_collector() -> None:
    assert open_tracing(Settings(), "1") is None


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
@pytest.mark.parametrize("address", ["http://me:hidden@collector:4317", "http://collector:99999"])
def test_a_collector_of_the_environment_is_checked_like_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(name, address)
    with pytest.raises(TracingError, match=f"^{name}: (has a user|names no host)") as refused:
        open_tracing(Settings(), "1")
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("by_setting", [True, False])
def test_traces_without_opentelemetry_are_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
    by_setting: bool,
) -> None:
    monkeypatch.setitem(sys.modules, "latimer_server.observability.tracing", None)
    if not by_setting:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    settings = Settings(otlp_endpoint="http://127.0.0.1:4317" if by_setting else None)
    with pytest.raises(TracingError, match=r"\[otel\].*unset otlp_endpoint"):
        open_tracing(settings, "1")
