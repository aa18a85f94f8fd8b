"""Monitoring: reads the state of the server for its metrics, and checks whether it can still compute."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace

from grpc_health.v1 import health_pb2

from latimer_server.config.settings import Settings
from latimer_server.core.telemetry import CacheReading, ModelReading, ServerReading
from latimer_server.models.pool.pool import ModelPool
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.observability.loop_monitor import LoopMonitor
from latimer_server.observability.metrics_server import Health, MetricsListenError, MetricsServer
from latimer_server.observability.server_telemetry import ServerTelemetry
from latimer_server.rpc.auth import Authenticator
from latimer_server.rpc.call_limits import ConcurrencyLimit
from latimer_server.rpc.certificates import ServerCertificates
from latimer_server.rpc.health import LIVENESS, HealthServicer
from latimer_server.scheduling import Admission, Executors

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
# The event loop counts as hanging if it is late at so many looks in a row.
_MOST_LATE_LOOKS = 6
_LATE_SECONDS = 1.0
# Seconds for the event loop to read the state for a scrape.
_READ_SECONDS = 1.0
_SERVING, _NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True)
class MonitoredParts:
    """The parts of a server whose state is read. `cache`, `certificates`: None if the server has none."""

    pool: ModelPool
    admission: Admission
    streams: ConcurrencyLimit
    executors: Executors
    cache: SegmentCache | None
    health: HealthServicer
    certificates: ServerCertificates | None
    authenticator: Authenticator


class Monitoring:
    """Watches a server from a thread of its own, and serves its metrics if the settings name an address.

    Must be created inside the event loop of the server. `preload`: names of the models without which the server is not
    ready.
    """

    def __init__(
        self, settings: Settings, parts: MonitoredParts, telemetry: ServerTelemetry, preload: Sequence[str]
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        permits = parts.executors.permits
        self._loop_monitor = LoopMonitor(lambda: permits.core_seconds, permits.cores)
        self._telemetry = telemetry
        self._metrics = telemetry.metrics
        self._preload = preload
        self._draining = False
        self._task: asyncio.Task[None] | None = None
        self._ended = threading.Event()
        self._not_alive = Health()
        self._late_looks = self._stalled = 0
        self._server: MetricsServer | None = None

    @property
    def port(self) -> int | None:
        """The port of the metrics; None before `serve`, or without metrics."""
        return self._server.port if self._server else None

    def serve(self) -> None:
        """Serves the metrics. Has no effect without metrics.

        Raises `MetricsListenError` if an operator set the address. With the default address a second server on one
        machine goes on without metrics, and says so in the log.
        """
        if self._metrics is None:
            return
        try:
            self._server = MetricsServer(
                self._settings.metrics,
                self._metrics.registry,
                self._refresh,
                lambda: self._not_alive,
                self._check_readiness,
            )
        except MetricsListenError as error:
            if "metrics" in self._settings.model_fields_set:
                raise
            _log.warning("no metrics", extra={"cause": str(error)})
        else:
            self._server.start()

    def start(self) -> None:
        """Starts to watch."""
        self._parts.health.set(LIVENESS, _SERVING)
        self._task = self._loop.create_task(self._loop_monitor.run())
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def note_drain(self) -> None:
        """Notes that the server drains: it is not ready any more."""
        self._draining = True

    def close(self) -> None:
        """Ends the watch and the server of metrics, and sends the spans that wait. May take two seconds."""
        self._ended.set()
        if self._task:
            self._task.cancel()
        if self._server:
            self._server.close()
        self._telemetry.close()

    def list_unready(self) -> tuple[str, ...]:
        """Returns the names of the preloaded models that are not READY. Any thread may call it."""
        return tuple(name for name in self._preload if not self._parts.health.is_serving(f"model:{name}"))

    def read(self) -> ServerReading:
        """Returns the state of the server. Must be called on the event loop."""
        parts, cache = self._parts, self._parts.cache
        statuses = map(parts.pool.describe, parts.pool.list_known())
        return ServerReading(
            tuple(ModelReading(s.entry.name, s.state.value, s.memory_bytes, s.waiting) for s in statuses),
            CacheReading(len(cache), cache.used_bytes, cache.max_bytes, cache.hits, cache.misses)
            if cache is not None
            else CacheReading(),
            parts.admission.active,
            self._settings.max_requests,
            parts.streams.active,
            self._settings.max_streams,
            self._stalled,
            self._loop_monitor.busy_ratio,
            self._loop_monitor.lag_seconds,
            parts.certificates.ends if parts.certificates else None,
            parts.certificates.authority_ends if parts.certificates else None,
            parts.authenticator.count_keys(),
        )

    async def _refresh(self) -> None:
        """Reads the state for a scrape. Runs on the loop of the metrics' server.

        If the loop of the server hangs, the last state is reported again, with the delay of the loop.
        """
        if self._metrics is None:
            return
        future: Future[ServerReading] = Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, future)
            self._metrics.reading = await asyncio.wait_for(asyncio.wrap_future(future), _READ_SECONDS)
        except (TimeoutError, RuntimeError):  # the loop hangs, or it is closed
            lag = self._loop_monitor.lag_seconds
            self._metrics.reading = replace(self._metrics.reading, loop_lag_seconds=lag)

    def _check_readiness(self) -> Health:
        """Returns whether every preloaded model is READY. Runs in the thread of the metrics' server."""
        if self._draining:
            return Health(("the server is draining",))
        return Health(tuple(f"model {name} is not ready" for name in self.list_unready()))

    def _answer(self, future: Future[ServerReading]) -> None:
        if future.set_running_or_notify_cancel():
            future.set_result(self.read())

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            late = self._loop_monitor.overdue_seconds > _LATE_SECONDS
            self._late_looks = self._late_looks + 1 if late else 0
            reasons = []
            if self._late_looks >= _MOST_LATE_LOOKS:
                reasons.append("the event loop hangs")
            self._stalled = self._parts.executors.watch.count_stalled()
            if self._stalled:
                reasons.append(f"{self._stalled} compute threads make no progress")
            if tuple(reasons) != self._not_alive.reasons:
                _log.log(logging.ERROR if reasons else logging.INFO, "liveness", extra={"reasons": "; ".join(reasons)})
            self._not_alive = Health(tuple(reasons))
            with suppress(RuntimeError):  # the interpreter ends
                self._parts.health.set(LIVENESS, _NOT_SERVING if reasons else _SERVING)
