"""Puts the server together: pool, use cases, services, health, reflection; starts it and drains it.

Knows every layer below, and of the process only its event loop: signals and the terminal are the command
line's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from latimer.v1 import models_pb2, summarization_pb2, translation_pb2
from latimer_server.backends.registry import load_backend
from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError, NotServed
from latimer_server.models.catalog.catalog import Catalog, Task, load_catalog
from latimer_server.models.pool.loaded_model import ModelState
from latimer_server.models.pool.loading import BackendLoader
from latimer_server.models.pool.pool import RETRY_SECONDS, ModelPool
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.models.store.store import Store
from latimer_server.rpc.auth import Authenticator
from latimer_server.rpc.behaviours import Behaviours
from latimer_server.rpc.call_handler import CallHandler
from latimer_server.rpc.call_limits import CallLimits
from latimer_server.rpc.health import HealthServicer
from latimer_server.rpc.methods import ServiceRegistry
from latimer_server.rpc.servicers.models import ModelServicer
from latimer_server.rpc.servicers.summarization import SummarizationServicer
from latimer_server.rpc.servicers.translation import TranslationServicer
from latimer_server.scheduling import Admission, Executors
from latimer_server.summarization.summarizer import Summarizer
from latimer_server.text.detection import LanguageDetector
from latimer_server.translation.translator import Translator

_log = logging.getLogger(__name__)

_TRANSLATION = translation_pb2.DESCRIPTOR.services_by_name["TranslationService"]
_SUMMARIZATION = summarization_pb2.DESCRIPTOR.services_by_name["SummarizationService"]
_MODELS = models_pb2.DESCRIPTOR.services_by_name["ModelService"]
_SERVICE_NAMES = {Task.TRANSLATION: _TRANSLATION.full_name, Task.SUMMARIZATION: _SUMMARIZATION.full_name}
_MODEL_SERVICE_NAME = _MODELS.full_name
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
    """A server that listens. Make it with `build_server`."""

    def __init__(
        self,
        server: grpc.Server,
        port: int,
        pool: ModelPool,
        preload: Sequence[str],
        admission: Admission,
        calls: CallHandler,
        behaviours: Behaviours,
        health_servicer: HealthServicer,
        executors: Executors,
        *,
        strict: bool = False,
    ) -> None:
        self.port = port
        self.pool = pool
        self._server = server
        self._preload = tuple(preload)
        self._admission = admission
        self._calls = calls
        self._behaviours = behaviours
        self._health = health_servicer
        self._executors = executors
        self._strict = strict
        self._tasks: set[asyncio.Task[None]] = set()
        pool.subscribe(self._note_change)

    async def start(self) -> None:
        """Begins to answer calls; no model is loaded yet."""
        self._health.set(_MODEL_SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
        for name in (_OVERALL, *_SERVICE_NAMES.values(), *(f"model:{e.name}" for e in self.pool.catalog.entries)):
            self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server.start()

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
            await asyncio.sleep(RETRY_SECONDS)
            await asyncio.gather(*(self.pool.load(name) for name in left), return_exceptions=True)
            left = {name for name in left if self.pool.describe(name).state is not ModelState.READY}

    async def drain(self, seconds: float) -> None:
        """Refuses new calls, lets those in flight finish for `seconds`, then ends.

        Whoever only watches health would never finish: such streams are told and ended first. Who has called already
        and was not accepted yet is refused, too, where gRPC would say CANCELLED.
        """
        for task in self._tasks:
            task.cancel()
        self._admission.drain()
        self._health.drain()
        self._behaviours.draining.set()
        await self._wait_for_last(min(seconds, _LAST_CALLS_SECONDS))
        stopped = self._server.stop(seconds)
        await asyncio.to_thread(stopped.wait)
        await self.pool.close()
        self._executors.close()

    async def _wait_for_last(self, most: float) -> None:
        """Waits until no call has begun for a moment, at most `most` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + most
        while (left := end - loop.time()) > 0:
            begun = self._calls.begun
            await asyncio.sleep(min(0.05, left))
            if self._calls.begun == begun:
                return

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
        self._health.set(service, statuses.SERVING if serving else statuses.NOT_SERVING)


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

    limits = CallLimits(requests=settings.max_requests)
    calls = CallHandler(Authenticator(tokens))
    behaviours = Behaviours(asyncio.get_running_loop(), limits)
    server = grpc.server(
        ThreadPoolExecutor(limits.threads, "call"), options=_OPTIONS, maximum_concurrent_rpcs=4 * limits.threads
    )
    registry = ServiceRegistry(server, calls, behaviours)
    registry.add_servicer(_TRANSLATION, TranslationServicer(translator, admission))
    registry.add_servicer(_SUMMARIZATION, SummarizationServicer(summarizer, admission))
    registry.add_servicer(_MODELS, ModelServicer(pool, admin=settings.admin))
    health_servicer = HealthServicer(limits.watches)
    registry.add_health(health_servicer)
    registry.add_reflection((*_SERVICE_NAMES.values(), _MODEL_SERVICE_NAME, health.SERVICE_NAME))
    port = _bind(server, settings)
    return LatimerServer(
        server, port, pool, preload, admission, calls, behaviours, health_servicer, executors, strict=settings.strict
    )


def _bind(server: grpc.Server, settings: Settings) -> int:
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
