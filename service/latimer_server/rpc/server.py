"""Puts the server together: pool, use cases, services, health, reflection; starts it and drains it.

Knows every layer below, and of the process only its event loop: signals and the terminal are the command
line's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
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
from latimer_server.models.pool.pool import ModelPool
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
# Two servers on one port would share its connections without a word; the second one should fail instead.
# Calls that nobody has accepted yet; past them gRPC's core ends calls with CANCELLED, which nobody tries again. By
# default some at random past a thousand, and all past 3,000; we refuse as many a second, with what to do about it.
_MOST_PENDING, _MOST_PENDING_EVER = 10_000, 20_000
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.server.max_pending_requests", _MOST_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", _MOST_PENDING_EVER),
)
# At the end: calls that wait to be accepted are, to be told so. Enough for a thousand; who goes on asking is not heard.
_LAST_CALLS_SECONDS = 0.5


class ListenError(LatimerError):
    """The address cannot be listened on."""


class PreloadError(LatimerError):
    """A model that must be loaded cannot be, and the server was told to end then."""


class LatimerServer:
    """A server that listens. Make it with `build_server`. `admission` counts the requests in work."""

    def __init__(
        self,
        server: grpc.aio.Server,
        port: int,
        pool: ModelPool,
        preload: Sequence[str],
        admission: Admission,
        calls: CallInterceptor,
        health_servicer: health.aio.HealthServicer,
        executors: Executors,
        *,
        strict: bool = False,
    ) -> None:
        self.port = port
        self.pool = pool
        self.admission = admission
        self._server = server
        self._preload = tuple(preload)
        self._calls = calls
        self._health = health_servicer
        self._executors = executors
        self._strict = strict
        self._tasks: set[asyncio.Task[None]] = set()
        pool.subscribe(self._note_change)

    async def start(self) -> None:
        """Begins to answer calls; no model is loaded yet."""
        await self._health.set(_MODEL_SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
        for name in (_OVERALL, *_SERVICE_NAMES.values(), *(f"model:{e.name}" for e in self.pool.catalog.entries)):
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()

    async def preload(self) -> None:
        """Loads what the server was told to. A model that cannot be loaded is reported, the others served; unless
        the server is strict: then it raises `PreloadError`, naming each."""
        results = await asyncio.gather(*(self.pool.load(name) for name in self._preload), return_exceptions=True)
        failed = {n: error for n, error in zip(self._preload, results, strict=True) if isinstance(error, NotServed)}
        for name, error in failed.items():
            _log.error("model not preloaded", extra={"model": name, "cause": str(error)})
        await self._update_health()
        if failed and self._strict:
            raise PreloadError(f"--strict: {'; '.join(map(str, failed.values()))}")
        if failed:
            self._run(self._keep_trying(failed))

    async def _keep_trying(self, failed: Iterable[str]) -> None:
        """Tries preloaded models that failed again and again: a probe that sees NOT_SERVING keeps away the
        callers that would."""
        left = self._known_names().intersection(failed)
        while left:
            await asyncio.sleep(self.pool.retry_seconds)
            await asyncio.gather(*(self.pool.load(name) for name in left), return_exceptions=True)
            left = {name for name in left if self.pool.describe(name).state is not ModelState.READY}

    async def drain(self, seconds: float) -> None:
        """Refuses new calls, lets those in flight finish for `seconds`, then ends.

        Whoever only watches health would never finish: such streams are told and ended first. Who has called already
        and was not accepted yet is refused, too, where gRPC would say CANCELLED.
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
        """Overall: every preloaded model is READY. A service: it has a READY model, and none loading."""
        if changed:
            await self._set(f"model:{changed}", self.pool.describe(changed).state is ModelState.READY)
        states = {name: self.pool.describe(name) for name in self._preload if name in self._known_names()}
        await self._set(
            _OVERALL,
            len(states) == len(self._preload) and all(s.state is ModelState.READY for s in states.values()),
        )
        for task, service in _SERVICE_NAMES.items():
            mine = [status.state for status in states.values() if status.entry.task is task]
            await self._set(service, ModelState.READY in mine and ModelState.LOADING not in mine)

    def _known_names(self) -> set[str]:
        return {entry.name for entry in self.pool.catalog.entries}

    async def _set(self, service: str, serving: bool) -> None:  # noqa: FBT001
        statuses = health_pb2.HealthCheckResponse
        await self._health.set(service, statuses.SERVING if serving else statuses.NOT_SERVING)


async def build_server(
    settings: Settings, *, catalog: Catalog | None = None, backend_loader: BackendLoader = load_backend
) -> LatimerServer:
    """A server whose port is bound. Raises `LatimerError` for a catalogue, a file or an address at fault.

    `catalog` and `backend_loader` stand in for the real ones in tests.
    """
    catalog = catalog or load_catalog(settings.catalog)
    tokens = _read_tokens(settings.auth_tokens)
    detector = LanguageDetector()
    executors = Executors(settings.compute_threads)
    preload = catalog.preloaded if settings.models is None else settings.models
    pool = ModelPool(
        catalog,
        Store(settings.store),
        backend_loader,
        executors,
        detector,
        settings.device,
        max_memory=settings.max_model_memory,
        pinned=preload,
        cache=SegmentCache(settings.segment_cache_mb * _MEGABYTE) if settings.segment_cache_mb else None,
    )
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
    return LatimerServer(
        server, port, pool, preload, admission, calls, health_servicer, executors, strict=settings.strict
    )


def _bind(server: grpc.aio.Server, settings: Settings) -> int:
    try:
        if settings.tls_certificate and settings.tls_key:
            pair = (_read(settings.tls_key), _read(settings.tls_certificate))
            return server.add_secure_port(settings.listen, grpc.ssl_server_credentials([pair]))
        if settings.tls_certificate or settings.tls_key:
            raise ListenError("tls_certificate and tls_key need each other")
        return server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        raise ListenError(
            f"cannot listen on {settings.listen}: is it in use, or no address of this machine?"
        ) from error


def _read_tokens(path: Path | None) -> list[str]:
    if path is None:
        return []
    tokens = [line.strip() for line in _read(path).decode("utf-8").splitlines()]
    tokens = [token for token in tokens if token and not token.startswith("#")]
    if not tokens:
        raise ListenError(f"{path}: holds no token; nobody could call")
    return tokens


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ListenError(f"{path}: cannot be read: {error.strerror}") from error
