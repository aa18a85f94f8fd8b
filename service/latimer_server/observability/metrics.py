"""Metrics: declares every metric of the server, and counts what the layers report.

The names of calls are those of go-grpc-prometheus, whose dashboards and alerts users have. Each label has a fixed set
of values: methods of the contract, gRPC's codes, models of the catalogue, flags and reasons of the contract. Anything
else counts as `other`.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from latimer_server.core.errors import OverloadBound
from latimer_server.core.flags import Flag
from latimer_server.core.telemetry import BatchReport, ServerReading
from latimer_server.observability.series import Count, Counts, Distribution, Distributions

OTHER = "other"
# gRPC's status codes as go-grpc-prometheus spells them.
_CODES = {
    "OK": "OK",
    "CANCELLED": "Canceled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "UNAVAILABLE": "Unavailable",
    "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated",
}
MODEL_STATES = ("not fetched", "available", "loading", "ready", "failed", "draining")
_RELOADED_PARTS = ("keys", "certificates", "settings")
_CALL_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_WORK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LOAD_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_OUTCOMES = ("ok", "failed")


@dataclass(frozen=True)
class _MethodMetrics:
    """The series of one method, with `handled` by the name of the code."""

    started: Count
    handled: Mapping[str, Count]
    seconds: Distribution


@dataclass(frozen=True)
class _ModelMetrics:
    """The series of one model."""

    queue_seconds: Distribution
    rows: Distribution
    seconds: Distribution
    input_tokens: Count
    output_tokens: Count
    words: Count


class Metrics:
    """The metrics of one server, in a registry of their own.

    `models`: the names of the catalogue. `reasons`: the reasons of refusals. `reading` is the state of the server that
    the next scrape reports; the server sets it. Implements the part of `Telemetry` that counts.
    """

    def __init__(self, version: str, models: Iterable[str], reasons: Iterable[str]) -> None:
        self.registry = registry = CollectorRegistry()
        self.reading = ServerReading()
        self._known_models = frozenset(models)
        self._lock = threading.Lock()
        method = ("grpc_type", "grpc_service", "grpc_method")
        self._started = Counts("grpc_server_started", "Calls that the server has begun.", method)
        self._handled = Counts("grpc_server_handled", "Calls that have ended, by status code.", (*method, "grpc_code"))
        self._seconds = Distributions(
            "grpc_server_handling_seconds",
            "Seconds from the first byte of a call to its status; of a stream its whole life.",
            method,
            _CALL_SECONDS,
        )
        self._queue_seconds = Distributions(
            "latimer_queue_seconds", "Seconds that a piece of text waits for its batch.", ("model",), _WORK_SECONDS
        )
        self._rows = Distributions("latimer_batch_rows", "Pieces that are computed together.", ("model",), _ROWS)
        self._batch_seconds = Distributions(
            "latimer_batch_seconds", "Seconds that a model computes a batch.", ("model",), _WORK_SECONDS
        )
        self._load_seconds = Distributions(
            "latimer_model_load_seconds",
            "Seconds from the first call that needs a model until it is loaded or has failed.",
            ("model", "outcome"),
            _LOAD_SECONDS,
        )
        self._tokens = Counts("latimer_tokens", "Tokens that a model reads or writes.", ("model", "direction"))
        self._words = Counts(
            "latimer_words",
            "Words of sources, divided by white space, that a model has translated or summarized.",
            ("model",),
        )
        flags = Counts("latimer_flags", "Translations and summaries that carry a flag.", ("flag",))
        refused = Counts("latimer_refused", "Calls that are refused before their work, by reason.", ("reason",))
        overloaded = Counts("latimer_overloaded", "Calls that are refused with OVERLOADED, by bound.", ("bound",))
        reloads = Counts(
            "latimer_reloads",
            "Files that were read again, by part and whether they could be used; else the old ones stay in use.",
            ("part", "outcome"),
        )
        build = Gauge(
            "latimer_build_info", "The version of the server; the value is 1.", ("version", "python"), registry=registry
        )
        build.labels(version, platform.python_version()).set(1)
        ProcessCollector(registry=registry)
        registry.register(_ReadingCollector(self))
        counts = self._started, self._handled, self._tokens, self._words, flags, refused, overloaded, reloads
        distributions = self._seconds, self._queue_seconds, self._rows, self._batch_seconds, self._load_seconds
        registry.register(_SeriesCollector((*counts, *distributions), self._lock))
        self._methods: dict[str, _MethodMetrics] = {}
        self._other = self._resolve_method("unary", OTHER, OTHER)
        self._models: dict[str, _ModelMetrics] = {}
        self._flags = {flag: flags.find(flag.name) for flag in Flag}
        self._reloads = {
            (part, outcome): reloads.find(part, outcome) for part in (*_RELOADED_PARTS, OTHER) for outcome in _OUTCOMES
        }
        self._refused = {reason: refused.find(reason) for reason in (*reasons, OTHER)}
        self._overloaded = {bound: overloaded.find(bound.value) for bound in OverloadBound}

    def add_method(self, path: str, grpc_type: str) -> None:
        """Declares a method, `/package.Service/Method`; its series begin at 0."""
        service, _, name = path.removeprefix("/").partition("/")
        with self._lock:
            self._methods[path] = self._resolve_method(grpc_type, service, name)

    def note_call_start(self, path: str) -> None:
        """Counts a call."""
        method = self._methods.get(path, self._other)
        with self._lock:
            method.started.value += 1

    def note_call_end(self, path: str, code: str, seconds: float | None) -> None:
        """Counts the end of a call."""
        method = self._methods.get(path, self._other)
        with self._lock:
            method.handled[code].value += 1
            if seconds is not None:
                method.seconds.observe(seconds)

    def note_refusal(self, reason: str, bound: OverloadBound | None = None) -> None:
        """Counts a refused call."""
        with self._lock:
            self._refused.get(reason, self._refused[OTHER]).value += 1
            if bound is not None:
                self._overloaded[bound].value += 1

    def note_batch(self, report: BatchReport) -> None:
        """Counts a batch, its rows and its tokens."""
        with self._lock:
            model = self._get_model(report.model)
            for seconds in report.queue_seconds:
                model.queue_seconds.observe(seconds)
            model.rows.observe(len(report.queue_seconds))
            model.seconds.observe(report.backend_ended - report.backend_started)
            model.input_tokens.value += report.input_tokens
            model.output_tokens.value += report.output_tokens

    def note_load(self, model: str, succeeded: bool, seconds: float) -> None:  # noqa: FBT001
        """Counts the load of a model. Names beyond the catalogue are one model."""
        label = model if model in self._known_models else OTHER
        with self._lock:
            self._load_seconds.find(label, "ok" if succeeded else "failed").observe(seconds)

    def note_words(self, model: str, words: int) -> None:
        """Counts words of sources."""
        with self._lock:
            self._get_model(model).words.value += words

    def note_flag(self, flag: Flag, times: int) -> None:
        """Counts a flag."""
        with self._lock:
            self._flags[flag].value += times

    def note_reload(self, part: str, succeeded: bool) -> None:  # noqa: FBT001 (as listeners of reloads are called)
        """Counts files that were read again."""
        with self._lock:
            self._reloads[part if part in _RELOADED_PARTS else OTHER, "ok" if succeeded else "failed"].value += 1

    def _resolve_method(self, *labels: str) -> _MethodMetrics:
        return _MethodMetrics(
            self._started.find(*labels),
            {name: self._handled.find(*labels, code) for name, code in _CODES.items()},
            self._seconds.find(*labels),
        )

    def _get_model(self, name: str) -> _ModelMetrics:
        """Returns the series of a model, created at its first report. Names beyond the catalogue are one model."""
        found = self._models.get(name)
        if found is None:
            label = name if name in self._known_models else OTHER
            found = _ModelMetrics(
                self._queue_seconds.find(label),
                self._rows.find(label),
                self._batch_seconds.find(label),
                self._tokens.find(label, "input"),
                self._tokens.find(label, "output"),
                self._words.find(label),
            )
            if label is not OTHER:
                self._models[name] = found
        return found


class _SeriesCollector:
    """Converts what was counted to metrics at each scrape. `lock`: the one under which it is counted."""

    def __init__(self, series: Iterable[Counts | Distributions], lock: threading.Lock) -> None:
        self._series = tuple(series)
        self._lock = lock

    def describe(self) -> Iterator[Metric]:
        """Yields the metrics, so that the registry knows their names."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics, as they are at one moment."""
        with self._lock:
            metrics = [each.render() for each in self._series]
        return iter(metrics)


class _ReadingCollector:
    """Converts the state of the server to metrics at each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterator[Metric]:
        """Yields the metrics without values, so that the registry knows their names."""
        return _declare_readings(ServerReading())

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics of the last reading."""
        return _declare_readings(self._metrics.reading)


def _declare_readings(reading: ServerReading) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "latimer_model_state", "1 for the state that a model is in, else 0.", labels=("model", "state")
    )
    memory = GaugeMetricFamily("latimer_model_memory_bytes", "Bytes that a loaded model holds.", labels=("model",))
    depth = GaugeMetricFamily("latimer_queue_depth", "Pieces of text that wait for a batch.", labels=("model",))
    for model in reading.models:
        for name in MODEL_STATES:
            state.add_metric((model.name, name.replace(" ", "_")), float(name == model.state))
        memory.add_metric((model.name,), model.memory_bytes)
        depth.add_metric((model.name,), model.waiting)
    yield from (state, memory, depth)
    cache = reading.cache
    for name, help_text, value in (
        ("latimer_requests_active", "Requests in work, streams left out.", reading.requests),
        ("latimer_requests_limit", "The bound on requests in work.", reading.max_requests),
        ("latimer_streams_active", "Open translation streams.", reading.streams),
        ("latimer_streams_limit", "The bound on open translation streams.", reading.max_streams),
        ("latimer_compute_stalled_threads", "Compute threads that make no progress.", reading.stalled_threads),
        ("latimer_compute_busy_ratio", "Share of the cores that batches held in the last 15 s.", reading.busy_ratio),
        (
            "latimer_event_loop_lag_seconds",
            "Longest delay of the event loop in the last 15 s, in seconds.",
            reading.loop_lag_seconds,
        ),
        ("latimer_cache_entries", "Outputs in the segment cache.", cache.entries),
        ("latimer_cache_bytes", "Bytes of the segment cache.", cache.used_bytes),
        ("latimer_cache_limit_bytes", "The bound on bytes of the segment cache.", cache.max_bytes),
    ):
        yield GaugeMetricFamily(name, help_text, value=value)
    keys = reading.keys
    for name, help_text, end in (
        (
            "latimer_certificate_expiry_timestamp_seconds",
            "When the certificate in use ends, in seconds since the epoch; 0 if clients refuse it already.",
            reading.certificate_ends,
        ),
        (
            "latimer_client_authority_expiry_timestamp_seconds",
            "When the first authority of client certificates ends, in seconds since the epoch.",
            reading.authority_ends,
        ),
        (
            "latimer_key_expiry_timestamp_seconds",
            "When the next key of a caller ends, in seconds since the epoch.",
            keys.next_end if keys else None,
        ),
    ):
        family = GaugeMetricFamily(name, help_text)
        if end is not None:
            family.add_metric((), end)
        yield family
    count = GaugeMetricFamily("latimer_keys", "Keys of callers, by state.", labels=("state",))
    if keys:
        count.add_metric(("valid",), keys.valid)
        count.add_metric(("expired",), keys.expired)
    yield count
    yield CounterMetricFamily("latimer_cache_hits", "Pieces that the segment cache had.", value=cache.hits)
    yield CounterMetricFamily("latimer_cache_misses", "Pieces that the segment cache lacked.", value=cache.misses)
