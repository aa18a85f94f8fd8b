"""The metrics: their names and labels, and that no input adds a series."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from latimer_server.core.errors import REFUSAL_REASONS, OverloadBound
from latimer_server.core.flags import Flag
from latimer_server.core.telemetry import BatchReport, CacheReading, ModelReading, ServerReading
from latimer_server.observability.metrics import Metrics

METHOD = "/latimer.v1.TranslationService/TranslateText"
METHOD_LABELS = {"grpc_type": "unary", "grpc_service": "latimer.v1.TranslationService", "grpc_method": "TranslateText"}


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics("1.2.3", ["en-pt", "pt-en"], REFUSAL_REASONS)
    made.add_method(METHOD, "unary")
    return made


def read(metrics: Metrics, name: str, labels: Mapping[str, str] = {}) -> float | None:
    """Returns the value of a series; None if it does not exist."""
    return metrics.registry.get_sample_value(name, dict(labels))


def list_series(metrics: Metrics) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {(s.name, tuple(sorted(s.labels.items()))) for family in families for s in family.samples}


def report(model: str = "en-pt", rows: int = 2) -> BatchReport:
    return BatchReport(model, [0.25] * rows, 10.0, 10.6, 10.1, 10.5, input_tokens=7, output_tokens=5)


@pytest.mark.parametrize(
    ("code", "spelled"),
    [("OK", "OK"), ("NOT_FOUND", "NotFound"), ("CANCELLED", "Canceled"), ("RESOURCE_EXHAUSTED", "ResourceExhausted")],
)
def test_a_call_counts_under_its_method_and_its_code_as_the_convention_spells_it(
    metrics: Metrics, code: str, spelled: str
) -> None:
    metrics.note_call_start(METHOD)
    metrics.note_call_end(METHOD, code, 0.3)
    assert read(metrics, "grpc_server_started_total", METHOD_LABELS) == 1
    assert read(metrics, "grpc_server_handled_total", {**METHOD_LABELS, "grpc_code": spelled}) == 1
    assert read(metrics, "grpc_server_handling_seconds_count", METHOD_LABELS) == 1
    assert read(metrics, "grpc_server_handling_seconds_sum", METHOD_LABELS) == 0.3


def test_the_series_of_a_method_begin_at_zero(metrics: Metrics) -> None:
    assert read(metrics, "grpc_server_handled_total", {**METHOD_LABELS, "grpc_code": "Internal"}) == 0


def test_a_batch_counts_its_rows_its_tokens_and_the_seconds_of_the_model(metrics: Metrics) -> None:
    metrics.note_batch(report())
    model = {"model": "en-pt"}
    assert read(metrics, "latimer_queue_seconds_sum", model) == 0.5
    assert read(metrics, "latimer_queue_seconds_count", model) == 2
    assert read(metrics, "latimer_batch_rows_sum", model) == 2
    assert read(metrics, "latimer_batch_seconds_sum", model) == pytest.approx(0.4)
    assert read(metrics, "latimer_tokens_total", {**model, "direction": "input"}) == 7
    assert read(metrics, "latimer_tokens_total", {**model, "direction": "output"}) == 5


def test_words_flags_refusals_and_reloads_are_counted(metrics: Metrics) -> None:
    metrics.note_words("pt-en", 12)
    metrics.note_flag(Flag.NUMBER_MISMATCH, 3)
    metrics.note_refusal("QUOTA_REQUESTS")
    metrics.note_refusal("OVERLOADED", OverloadBound.STREAMS)
    metrics.note_reload("keys", succeeded=False)
    assert read(metrics, "latimer_words_total", {"model": "pt-en"}) == 12
    assert read(metrics, "latimer_flags_total", {"flag": "NUMBER_MISMATCH"}) == 3
    assert read(metrics, "latimer_refused_total", {"reason": "QUOTA_REQUESTS"}) == 1
    assert read(metrics, "latimer_overloaded_total", {"bound": "max_streams"}) == 1
    assert read(metrics, "latimer_overloaded_total", {"bound": "max_requests"}) == 0
    assert read(metrics, "latimer_reloads_total", {"part": "keys", "outcome": "failed"}) == 1


def test_a_scrape_reports_the_state_of_the_server(metrics: Metrics) -> None:
    metrics.reading = ServerReading(
        models=(ModelReading("en-pt", "not fetched", 0, 0), ModelReading("pt-en", "ready", 2_000, 9)),
        cache=CacheReading(1, 500, 1_000, 7, 3),
        busy_ratio=0.5,
        loop_lag_seconds=0.02,
    )
    assert read(metrics, "latimer_model_state", {"model": "en-pt", "state": "not_fetched"}) == 1
    assert read(metrics, "latimer_model_state", {"model": "pt-en", "state": "ready"}) == 1
    assert read(metrics, "latimer_model_state", {"model": "pt-en", "state": "failed"}) == 0
    assert read(metrics, "latimer_model_memory_bytes", {"model": "pt-en"}) == 2_000
    assert read(metrics, "latimer_queue_depth", {"model": "pt-en"}) == 9
    assert read(metrics, "latimer_cache_bytes") == 500
    assert read(metrics, "latimer_cache_hits_total") == 7
    assert read(metrics, "latimer_compute_busy_ratio") == 0.5
    assert read(metrics, "latimer_event_loop_lag_seconds") == 0.02


def test_the_version_and_the_process_are_reported(metrics: Metrics) -> None:
    names = {name for name, _ in list_series(metrics)}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= names
    (labels,) = [dict(labels) for name, labels in list_series(metrics) if name == "latimer_build_info"]
    assert labels["version"] == "1.2.3"


def test_ten_thousand_unknown_methods_models_and_reasons_add_no_series(metrics: Metrics) -> None:
    def send(number: int) -> None:
        metrics.note_call_start(f"/any/M{number}")
        metrics.note_call_end(f"/any/M{number}", "UNIMPLEMENTED", None)
        metrics.note_refusal(f"REASON_{number}")
        metrics.note_words(f"model-{number}", 1)
        metrics.note_batch(report(f"model-{number}", rows=1))

    send(0)
    before = list_series(metrics)
    for number in range(1, 10_000):
        send(number)
    assert list_series(metrics) == before
    other = {"grpc_type": "unary", "grpc_service": "other", "grpc_method": "other"}
    assert read(metrics, "grpc_server_handled_total", {**other, "grpc_code": "Unimplemented"}) == 10_000
    assert read(metrics, "latimer_refused_total", {"reason": "other"}) == 10_000
    assert read(metrics, "latimer_words_total", {"model": "other"}) == 10_000
