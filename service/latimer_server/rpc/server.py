"""Builds, starts and drains the server: model pool, use cases, servicers, health and reflection.

Signals and the terminal are the command line's part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from latimer.v1 import (
    models_pb2,
    models_pb2_grpc,
    summarization_pb2,
    summarization_pb2_grpc,
    translation_pb2,
    translation_pb2_grpc,
)
from latimer_server.backends.registry import load_backend
from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError, NotServed
from latimer_server.models.catalog.catalog import Catalog, Task, load_catalog
from latimer_server.models.pool.loaded_model import ModelState
from latimer_server.models.pool.loading import BackendLoader
from latimer_server.models.pool.pool import ModelPool, PoolOptions
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.models.store.store import Store
from latimer_server.rpc.eager_accept import AcceptingServer
from latimer_server.rpc.interceptor import CallInterceptor
from latimer_server.rpc.servicers.models import ModelServicer
from latimer_server.rpc.servicers.summarization import SummarizationServicer
from latimer_server.rpc.servicers.translation import TranslationServicer
from latimer_server.scheduling import Admission, Executors
from latimer_server.summarization.summarizer import Summarizer
from latimer_server.text.detection import LanguageDetector
from latimer_server.translation.translator import Translator

_log = logging.getLogger(__name__)

_SERVICE_NAMES = {
    Task.TRANSLATION: translation_pb2.DESCRIPTOR.services_by_name["TranslationService"].full_name,
    Task.SUMMARIZATION: summarization_pb2.DESCRIPTOR.services_by_name["SummarizationService"].full_name,
}
_MODEL_SERVICE_NAME = models_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name
_OVERALL = ""
_MEGABYTE = 1_000_000
# Bounds on unaccepted calls. Beyond them gRPC answers CANCELLED, which clients do not retry: above the first bound for
# some calls at random, above the second for all. The defaults are 1,000 and 3,000. With these bounds the server refuses
# the calls itself, and its status says when to retry.
_PENDING_SOFT_LIMIT, _PENDING_HARD_LIMIT = 10_000, 20_000
_OPTIONS = (
    # Without this a second server on the same port would silently share its connections. It must fail instead.
    ("grpc.so_reuseport", 0),
    ("grpc.server.max_pending_requests", _PENDING_SOFT_LIMIT),
    ("grpc.server.max_pending_requests_hard_limit", _PENDING_HARD_LIMIT),
)
# Seconds in which a draining server still accepts unaccepted calls in order to refuse them. This is enough for about a
# thousand calls; clients that keep calling get no answer afterwards.
_LAST_CALLS_SECONDS = 0.5


class ListenError(LatimerError):
    """The server cannot listen: the address, the TLS files or the token file cannot be used."""


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
    preload: tuple[str, ...]
    strict: bool = False


class LatimerServer:
    """A gRPC server that is bound to `port`. Created by `build_server`. `admission` counts the requests in work."""

    def __init__(
        self,
        server: grpc.aio.Server,
        port: int,
        models: ServedModels,
        calls: CallInterceptor,
        health_servicer: health.aio.HealthServicer,
    ) -> None:
        self.port = port
        self.pool = models.pool
        self._server = server
        self._preload = models.preload
        self.admission = models.admission
        self._calls = calls
        self._health = health_servicer
        self._executors = models.executors
        self._strict = models.strict
        self._tasks: set[asyncio.Task[None]] = set()
        self.pool.subscribe(self._note_change)

    async def start(self) -> None:
        """Starts to answer calls. No model is loaded yet."""
        await self._health.set(_MODEL_SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
        for name in (_OVERALL, *_SERVICE_NAMES.values(), *(f"model:{e.name}" for e in self.pool.catalog.entries)):
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()

    async def preload(self) -> None:
        """Loads the preloaded models. A model that cannot be loaded is logged and tried again later, and the others are
        served. A strict server raises `PreloadError` instead, which names each such model."""
        results = await asyncio.gather(*(self.pool.load(name) for name in self._preload), return_exceptions=True)
        failed = {n: error for n, error in zip(self._preload, results, strict=True) if isinstance(error, NotServed)}
        for name, error in failed.items():
            _log.error("model not preloaded", extra={"model": name, "cause": str(error)})
        await self._update_health()
        if failed and self._strict:
            raise PreloadError(f"models cannot be loaded (--strict): {'; '.join(map(str, failed.values()))}")
        if failed:
            self._run(self._keep_trying(failed))

    async def _keep_trying(self, failed: Iterable[str]) -> None:
        """Retries the preloaded models that failed, until each is READY. No call would load them: a probe that sees
        NOT_SERVING keeps callers away."""
        left = self._known_names().intersection(failed)
        while left:
            await asyncio.sleep(self.pool.retry_seconds)
            await asyncio.gather(*(self.pool.load(name) for name in left), return_exceptions=True)
            left = {name for name in left if self.pool.describe(name).state is not ModelState.READY}

    async def drain(self, seconds: float) -> None:
        """Refuses new calls, waits up to `seconds` for calls in flight, and stops the server.

        Health watches and other streams that never end by themselves are ended first. Calls that gRPC has received and
        not accepted yet are accepted and refused; gRPC alone would answer CANCELLED.
        """
        for task in self._tasks:
            task.cancel()
        await self._health.enter_graceful_shutdown()
        self.admission.drain()
        await self._calls.end_watchers()
        await self._calls.wait_for_last(min(seconds, _LAST_CALLS_SECONDS))
        await self._server.stop(seconds)
        await self.pool.close()
        self._executors.close()

    def _note_change(self, name: str) -> None:
        self._run(self._update_health(name))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _update_health(self, changed: str | None = None) -> None:
        """Sets the health statuses. The server is SERVING if every preloaded model is READY; a service, if one of its
        preloaded models is READY and none is LOADING. `changed`: a model whose own status is set as well."""
        if changed:
            await self._set(f"model:{changed}", self.pool.describe(changed).state is ModelState.READY)
        states = {name: self.pool.describe(name) for name in self._preload if name in self._known_names()}
        await self._set(
            _OVERALL,
            len(states) == len(self._preload) and all(s.state is ModelState.READY for s in states.values()),
        )
        for task, service in _SERVICE_NAMES.items():
            model_states = [status.state for status in states.values() if status.entry.task is task]
            await self._set(service, ModelState.READY in model_states and ModelState.LOADING not in model_states)

    def _known_names(self) -> set[str]:
        return {entry.name for entry in self.pool.catalog.entries}

    async def _set(self, service: str, serving: bool) -> None:  # noqa: FBT001
        statuses = health_pb2.HealthCheckResponse
        await self._health.set(service, statuses.SERVING if serving else statuses.NOT_SERVING)


async def build_server(
    settings: Settings, *, catalog: Catalog | None = None, backend_loader: BackendLoader = load_backend
) -> LatimerServer:
    """Returns a server whose port is bound. Raises `LatimerError` if the catalogue, a file or the address cannot be
    used.

    `catalog` and `backend_loader` replace the real ones in tests.
    """
    catalog = catalog or load_catalog(settings.catalog)
    tokens = _read_tokens(settings.auth_tokens)
    detector = LanguageDetector()
    executors = Executors(settings.compute_threads)
    preload = catalog.preloaded if settings.models is None else settings.models
    options = PoolOptions(
        device=settings.device,
        max_memory=settings.max_model_memory,
        pinned=preload,
        cache=SegmentCache(settings.segment_cache_mb * _MEGABYTE) if settings.segment_cache_mb else None,
    )
    pool = ModelPool(catalog, Store(settings.store), backend_loader, executors, detector, options)
    await asyncio.to_thread(pool.scan_files)
    admission = Admission(settings.max_requests)
    translator = Translator(pool, detector, pivoting=settings.pivoting)
    summarizer = Summarizer(pool, detector, translator)

    calls = CallInterceptor(tokens)
    server = AcceptingServer(grpc.aio.server(interceptors=[calls], options=_OPTIONS), [calls])
    translation_pb2_grpc.add_TranslationServiceServicer_to_server(TranslationServicer(translator, admission), server)
    summarization_pb2_grpc.add_SummarizationServiceServicer_to_server(
        SummarizationServicer(summarizer, admission), server
    )
    models_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(pool, admin=settings.admin), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = (*_SERVICE_NAMES.values(), _MODEL_SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    port = _bind(server, settings)
    models = ServedModels(pool, admission, executors, tuple(preload), settings.strict)
    return LatimerServer(server, port, models, calls, health_servicer)


def _bind(server: grpc.aio.Server, settings: Settings) -> int:
    try:
        if settings.tls_certificate and settings.tls_key:
            pair = (_read(settings.tls_key), _read(settings.tls_certificate))
            return server.add_secure_port(settings.listen, grpc.ssl_server_credentials([pair]))
        if settings.tls_certificate or settings.tls_key:
            raise ListenError("tls_certificate and tls_key must be set together; only one of them is set")
        return server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        raise ListenError(
            f"cannot listen on {settings.listen}: the port may be in use, or the address may not belong to this machine"
        ) from error


def _read_tokens(path: Path | None) -> list[str]:
    if path is None:
        return []
    tokens = [line.strip() for line in _read(path).decode("utf-8").splitlines()]
    tokens = [token for token in tokens if token and not token.startswith("#")]
    if not tokens:
        raise ListenError(f"{path}: contains no token, so every call would be refused; add one token per line")
    return tokens


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ListenError(f"{path}: cannot be read: {error.strerror}") from error
