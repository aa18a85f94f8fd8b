"""Builds, starts and drains the server: model pool, use cases, servicers, health and reflection.

Signals and the terminal are the command line's part.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import grpc
from grpc_health.v1 import health, health_pb2

from latimer.v1 import models_pb2, summarization_pb2, translation_pb2
from latimer_server import __version__
from latimer_server.backends.registry import load_backend
from latimer_server.config.settings import Settings
from latimer_server.core.access import Scope
from latimer_server.core.errors import REFUSAL_REASONS, LatimerError, NotServed
from latimer_server.models.catalog.catalog import Catalog, Task, load_catalog
from latimer_server.models.pool.gc_tuning import trim_memory
from latimer_server.models.pool.loaded_model import ModelState
from latimer_server.models.pool.loading import BackendLoader
from latimer_server.models.pool.pool import ModelPool
from latimer_server.models.pool.pool_options import PoolOptions
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.models.store.store import Store
from latimer_server.observability.metrics import Metrics
from latimer_server.observability.server_telemetry import ServerTelemetry, open_tracing
from latimer_server.rpc.access_control import AccessControl, make_access_control
from latimer_server.rpc.behaviours import Behaviours
from latimer_server.rpc.call_handler import CallHandler
from latimer_server.rpc.call_limits import CallLimits
from latimer_server.rpc.call_threads import CallThreads
from latimer_server.rpc.health import HealthServicer
from latimer_server.rpc.library_refusals import LibraryRefusals
from latimer_server.rpc.listening import bind_port, channel_options
from latimer_server.rpc.methods import ServiceRegistry
from latimer_server.rpc.monitoring import MonitoredParts, Monitoring
from latimer_server.rpc.refusal_pace import RefusalPace
from latimer_server.rpc.servicers.models import ModelServicer
from latimer_server.rpc.servicers.summarization import SummarizationServicer
from latimer_server.rpc.servicers.translation import TranslationServicer
from latimer_server.scheduling import Admission, Executors, TextWorkers
from latimer_server.summarization.summarizer import Summarizer
from latimer_server.text.detection import LanguageDetector
from latimer_server.translation.translator import Translator

_log = logging.getLogger(__name__)

_TRANSLATION = translation_pb2.DESCRIPTOR.services_by_name["TranslationService"]
_SUMMARIZATION = summarization_pb2.DESCRIPTOR.services_by_name["SummarizationService"]
_MODELS = models_pb2.DESCRIPTOR.services_by_name["ModelService"]
_SERVICE_NAMES = {Task.TRANSLATION: _TRANSLATION.full_name, Task.SUMMARIZATION: _SUMMARIZATION.full_name}
_MODEL_SERVICE_NAME = _MODELS.full_name
# What a key must open for each method of ModelService; None is open to every key.
_MODEL_SCOPES = {"ListModels": None, "GetModel": None, "LoadModel": Scope.ADMIN, "UnloadModel": Scope.ADMIN}
_OVERALL = ""
_MEGABYTE = 1_000_000
# Seconds in which a draining server still accepts calls in order to refuse them.
_LAST_CALLS_SECONDS = 0.5
# Calls that are ended have so long until their statuses are sent: those of a crowd take longer than those of a few.
_CUT_CALLS_SECONDS = 3.0
# A draining server waits so long for a message that is arriving.
_LAST_MESSAGE_SECONDS = 3.0
# A draining server takes it that no more calls are on their way if none has begun for this many seconds.
_QUIET_SECONDS = 0.05
# Seconds that a step of the drain may take beyond its own time.
_STEP_SECONDS = 5.0
_SWEEP_SECONDS = 1.0
# Freed memory is returned once in so many sweeps, which takes 0.5 to 3 ms in a thread.
_TRIM_EVERY = 15
# Calls that may wait for a thread; gRPC refuses more. Each may hold 40 kB of metadata as Python objects.
_WAITING_CALLS = 1_024
_SERVING, _NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class PreloadError(LatimerError):
    """A preloaded model cannot be loaded, and the server runs with --strict."""


@dataclass(frozen=True)
class ServedModels:
    """The models that a server serves, and the resources that their calls share.

    `preload`: names of the models to load at the start. `strict`: whether the server ends if one of them cannot be
    loaded.
    """

    pool: ModelPool
    admission: Admission
    executors: Executors
    text_workers: TextWorkers
    preload: tuple[str, ...]
    strict: bool = False


class LatimerServer:
    """A gRPC server that is bound to `port`. Created by `build_server`. `admission` counts the requests in work,
    `streams` the open translation streams. `reloads` watches the files of keys and certificates."""

    def __init__(
        self,
        server: grpc.Server,
        port: int,
        models: ServedModels,
        calls: CallHandler,
        behaviours: Behaviours,
        health_servicer: HealthServicer,
        access: AccessControl,
        monitoring: Monitoring,
    ) -> None:
        self.monitoring = monitoring
        self.port = port
        self.reloads = access.reloads
        self._access = access
        self.pool = models.pool
        self._server = server
        self._preload = models.preload
        self.admission = models.admission
        self._calls = calls
        self._behaviours = behaviours
        self.streams = behaviours.streams
        self._health = health_servicer
        self._executors = models.executors
        self._text_workers = models.text_workers
        self._strict = models.strict
        self._background: list[asyncio.Task[None]] = []
        self._retries: set[asyncio.Task[None]] = set()
        self.pool.subscribe(self._update_health)

    @property
    def log_ok_share(self) -> float:
        """The share of the calls with status OK that are logged."""
        return self._calls.log_share

    @log_ok_share.setter
    def log_ok_share(self, share: float) -> None:
        self._calls.log_share = share

    @property
    def active_calls(self) -> int:
        """The number of calls in work, and of those whose answer is not sent yet; health and reflection do not
        count."""
        return self._calls.active

    def list_unready(self) -> tuple[str, ...]:
        """Returns the names of the preloaded models that are not READY."""
        return self.monitoring.list_unready()

    async def start(self) -> None:
        """Starts to answer calls. No model is loaded yet."""
        self._health.set(_MODEL_SERVICE_NAME, _SERVING)
        for name in (_OVERALL, *_SERVICE_NAMES.values(), *(f"model:{e.name}" for e in self.pool.catalog.entries)):
            self._health.set(name, _NOT_SERVING)
        self._server.start()
        self.monitoring.start()
        self._background = [asyncio.create_task(work) for work in (self._sweep(), *self._access.list_works())]

    async def preload(self) -> None:
        """Loads the preloaded models. A model that cannot be loaded is logged and tried again later, and the others are
        served. A strict server raises `PreloadError` instead, which names each such model."""
        results = await asyncio.gather(*(self.pool.load(name) for name in self._preload), return_exceptions=True)
        failed = {n: error for n, error in zip(self._preload, results, strict=True) if isinstance(error, NotServed)}
        for name, error in failed.items():
            _log.error("model not preloaded", extra={"model": name, "cause": str(error)})
        self._update_health()
        if failed and self._strict:
            raise PreloadError(f"models cannot be loaded (--strict): {'; '.join(map(str, failed.values()))}")
        if failed:
            retry = asyncio.create_task(self._keep_trying(failed))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)

    async def _keep_trying(self, failed: Iterable[str]) -> None:
        """Retries the preloaded models that failed, until each is READY. No call would load them: a probe that sees
        NOT_SERVING keeps callers away."""
        left = self._known_names().intersection(failed)
        while left:
            await asyncio.sleep(self.pool.retry_seconds)
            await asyncio.gather(*(self.pool.load(name) for name in left), return_exceptions=True)
            left = {name for name in left if self.pool.describe(name).state is not ModelState.READY}

    async def drain(self, seconds: float) -> None:
        """Refuses new calls, waits up to `seconds` for calls in flight, and stops the server."""
        await self.finish_calls(seconds)
        await self.close()

    async def finish_calls(self, seconds: float) -> None:
        """Refuses new calls with UNAVAILABLE, waits up to `seconds` for calls in flight, and ends those that are left
        with UNAVAILABLE.

        Streams read no further and health watches end. The port stays open: a process that exits now leaves no caller
        with CANCELLED, which clients do not retry, as stopping gRPC's server would.
        """
        self._calls.refuse_calls()
        self._health.drain()
        self.monitoring.note_drain()
        self._behaviours.draining.set()
        for task in self._retries:
            task.cancel()
        end = asyncio.get_running_loop().time() + seconds
        # The sweep goes on, because a message that never arrives would otherwise hold up the drain.
        await self._wait_for_last_call(min(seconds, _LAST_CALLS_SECONDS))
        while self._has_calls() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 (threads end calls)
            await asyncio.sleep(_QUIET_SECONDS)
        await self._cut_calls()

    def _has_calls(self) -> bool:
        """Returns True if the drain has a call to wait for. A message that has been arriving for seconds does not
        count: a caller that sends none would hold up the drain."""
        return self.active_calls > self._behaviours.count_silent(_LAST_MESSAGE_SECONDS)

    async def _cut_calls(self) -> None:
        """Ends the calls that are left with a status, and gives their threads a moment to send it."""
        self._behaviours.cut()
        end = asyncio.get_running_loop().time() + _CUT_CALLS_SECONDS
        while self._has_calls() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 (threads end calls)
            await asyncio.sleep(_QUIET_SECONDS)

    async def close(self) -> None:
        """Ends the calls that are left and frees what the server holds. Each step has a time limit: what hangs is left
        to the end of the process."""
        for task in self._background:
            task.cancel()
        await asyncio.to_thread(self.monitoring.close)
        stopped = self._server.stop(_LAST_CALLS_SECONDS)
        await _wait_in_thread(stopped.wait, _STEP_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.pool.close(), _STEP_SECONDS)
        await _wait_in_thread(self._executors.close, _STEP_SECONDS)
        self._text_workers.close()

    async def _wait_for_last_call(self, seconds: float) -> None:
        """Waits until no call has begun for a moment, so that calls on their way are refused with UNAVAILABLE."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            begun = self._calls.begun
            await asyncio.sleep(min(_QUIET_SECONDS, left))
            if self._calls.begun == begun:
                return

    async def _sweep(self) -> None:
        """Ends calls whose message does not arrive, and returns the memory that a burst of calls has freed."""
        for sweep in itertools.count(1):
            await asyncio.sleep(_SWEEP_SECONDS)
            self._behaviours.expire()
            if sweep % _TRIM_EVERY == 0:
                await asyncio.to_thread(trim_memory)

    def _update_health(self, changed: str | None = None) -> None:
        """Sets the health statuses. The server is SERVING if every preloaded model is READY; a service, if one of its
        preloaded models is READY and none is LOADING. `changed`: a model whose own status is set as well."""
        if changed:
            self._set(f"model:{changed}", self.pool.describe(changed).state is ModelState.READY)
        states = {name: self.pool.describe(name) for name in self._preload if name in self._known_names()}
        self._set(
            _OVERALL,
            len(states) == len(self._preload) and all(s.state is ModelState.READY for s in states.values()),
        )
        for task, service in _SERVICE_NAMES.items():
            model_states = [status.state for status in states.values() if status.entry.task is task]
            self._set(service, ModelState.READY in model_states and ModelState.LOADING not in model_states)

    def _known_names(self) -> set[str]:
        return {entry.name for entry in self.pool.catalog.entries}

    def _set(self, service: str, serving: bool) -> None:  # noqa: FBT001
        self._health.set(service, _SERVING if serving else _NOT_SERVING)


async def build_server(
    settings: Settings, *, catalog: Catalog | None = None, backend_loader: BackendLoader = load_backend
) -> LatimerServer:
    """Returns a server whose port is bound. Raises `LatimerError` if the catalogue, a file or the address cannot be
    used.

    `catalog` and `backend_loader` replace the real ones in tests.
    """
    catalog = catalog or load_catalog(settings.catalog)
    access = make_access_control(settings)
    detector = LanguageDetector()
    metrics = Metrics(__version__, [e.name for e in catalog.entries], REFUSAL_REASONS) if settings.metrics else None
    telemetry = ServerTelemetry(metrics, open_tracing(settings, __version__))
    access.reloads.subscribe(telemetry.note_reload)
    executors = Executors(settings.compute_threads)
    preload = catalog.preloaded if settings.models is None else settings.models
    options = PoolOptions(
        device=settings.device,
        max_memory=settings.max_model_memory,
        pinned=preload,
        cache=SegmentCache(settings.segment_cache_mb * _MEGABYTE) if settings.segment_cache_mb else None,
        telemetry=telemetry,
    )
    pool = ModelPool(catalog, Store(settings.store), backend_loader, executors, detector, options)
    await asyncio.to_thread(pool.scan_files)
    admission = Admission(settings.max_requests)
    text_workers = TextWorkers()
    translator = Translator(pool, detector, pivoting=settings.pivoting, text_workers=text_workers)
    summarizer = Summarizer(pool, detector, translator)

    limits = CallLimits(
        requests=settings.max_requests,
        streams=settings.max_streams,
        watches=settings.max_watches,
        receive_seconds=settings.receive_seconds,
        stream_config_seconds=settings.stream_config_seconds,
        stream_idle_seconds=settings.stream_idle_seconds,
    )
    pace = RefusalPace(settings.compute_threads)
    calls = CallHandler(access.authenticator, pace, telemetry, settings.log_ok_share, access.make_meter())
    behaviours = Behaviours(asyncio.get_running_loop(), limits)
    threads, most_calls = CallThreads(limits.threads), limits.threads + _WAITING_CALLS
    server = grpc.server(
        # The library's types name one executor; it calls `submit` only.
        cast(ThreadPoolExecutor, threads),
        interceptors=[LibraryRefusals(telemetry, lambda: threads.active >= most_calls)],
        options=channel_options(settings),
        maximum_concurrent_rpcs=most_calls,
    )
    health_servicer = HealthServicer(limits.watches)
    access.reloads.subscribe(lambda *_: health_servicer.wake())
    registry = ServiceRegistry(server, calls, behaviours)
    registry.add_servicer(_TRANSLATION, TranslationServicer(translator, admission), Scope.TRANSLATE)
    registry.add_servicer(_SUMMARIZATION, SummarizationServicer(summarizer, admission), Scope.SUMMARIZE)
    registry.add_servicer(_MODELS, ModelServicer(pool, admin=settings.admin), _MODEL_SCOPES)
    registry.add_health(health_servicer)
    registry.add_reflection((*_SERVICE_NAMES.values(), _MODEL_SERVICE_NAME, health.SERVICE_NAME))
    port = bind_port(server, settings, access.certificates)
    parts = MonitoredParts(
        pool,
        admission,
        behaviours.streams,
        executors,
        options.cache,
        health_servicer,
        access.certificates,
        access.authenticator,
    )
    monitoring = Monitoring(settings, parts, telemetry, tuple(preload))
    models = ServedModels(pool, admission, executors, text_workers, tuple(preload), settings.strict)
    return LatimerServer(server, port, models, calls, behaviours, health_servicer, access, monitoring)


async def _wait_in_thread(wait: Callable[[], object], seconds: float) -> None:
    """Runs a blocking wait in a thread of its own, and leaves it there after `seconds`."""
    thread = ThreadPoolExecutor(1, "drain")
    future = asyncio.get_running_loop().run_in_executor(thread, wait)
    await asyncio.wait((future,), timeout=seconds)
    thread.shutdown(wait=False)
