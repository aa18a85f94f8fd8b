"""The models that are loaded: each once, however many ask, READY only after its canary.

Knows the catalogue, the store and how to make a backend; nothing of requests.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import cast

from latimer_server.backends.base import Backend, GeneratorBackend, LoadRequest, RankerBackend
from latimer_server.errors import ModelError, NotServed
from latimer_server.languages import LanguageDetector
from latimer_server.models.canary import try_model
from latimer_server.models.catalog import Catalog, CatalogEntry, Task
from latimer_server.models.store import Store
from latimer_server.scheduling import BatchQueue, CorePermits

_log = logging.getLogger(__name__)

# A model that failed is tried again, if somebody asks for it, after this long.
RETRY_SECONDS = 30.0

MakeBackend = Callable[[LoadRequest], Backend]


class ModelState(Enum):
    """How far a model is from answering; see the contract's ModelState."""

    NOT_FETCHED = "not fetched"
    AVAILABLE = "available"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class LoadedGenerator:
    """A loaded translation model and the queue before it."""

    entry: CatalogEntry
    backend: GeneratorBackend
    queue: BatchQueue


@dataclass(frozen=True)
class LoadedRanker:
    """A loaded extractive summarizer."""

    entry: CatalogEntry
    backend: RankerBackend


Loaded = LoadedGenerator | LoadedRanker


@dataclass(frozen=True)
class ModelStatus:
    """What can be said of a model now."""

    entry: CatalogEntry
    state: ModelState
    error: str = ""
    compute_type: str = ""
    max_input_tokens: int = 0
    memory_bytes: int = 0


class Pool:
    """Loads models on demand. Make and use it inside one event loop."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        make_backend: MakeBackend,
        permits: CorePermits,
        detector: LanguageDetector,
        threads: int,
        device: str = "cpu",
    ) -> None:
        self.catalog = catalog
        self.permits = permits
        self._store = store
        self._make_backend = make_backend
        self._detector = detector
        self._threads = threads
        self._device = device
        self._loads: dict[str, asyncio.Task[Loaded]] = {}
        self._failed_at: dict[str, float] = {}
        self._on_change: list[Callable[[str], None]] = []

    def subscribe(self, on_change: Callable[[str], None]) -> None:
        """Calls `on_change` with a model's name whenever it became READY or FAILED."""
        self._on_change.append(on_change)

    async def load(self, name: str) -> Loaded:
        """The loaded model; loads it first if need be. A caller that is cancelled does not stop the load.

        Raises `NotServed` when there is no such model, or it is not fetched, or cannot be loaded.
        """
        entry = self.catalog.get(name)
        self._forget_failure(name)
        if name not in self._loads:
            if not self._store.has(entry):
                raise NotServed(f"model {name} is not fetched: run latimer-server models fetch {name}")
            self._loads[name] = asyncio.get_running_loop().create_task(self._load(entry))
        try:
            return await asyncio.shield(self._loads[name])
        except ModelError as error:
            raise NotServed(f"model {name} failed to load: {error}") from error

    async def load_translator(self, name: str) -> LoadedGenerator:
        """`load`, for a model that must translate."""
        loaded = await self.load(name)
        if not isinstance(loaded, LoadedGenerator):
            raise NotServed(f"model {name} does not translate")
        return loaded

    async def load_ranker(self, name: str) -> LoadedRanker:
        """`load`, for a model that must rank sentences."""
        loaded = await self.load(name)
        if not isinstance(loaded, LoadedRanker):
            raise NotServed(f"model {name} does not summarize")
        return loaded

    def describe(self, name: str) -> ModelStatus:
        """The status of a model. Raises `NotServed` when there is none of this name."""
        entry = self.catalog.get(name)
        task = self._loads.get(name)
        if task is None or self._may_try_again(name):
            state = ModelState.AVAILABLE if self._store.has(entry) else ModelState.NOT_FETCHED
            return ModelStatus(entry, state, str(task.exception()) if task else "")
        if not task.done():
            return ModelStatus(entry, ModelState.LOADING)
        if task.cancelled():
            return ModelStatus(entry, ModelState.FAILED, "the server is shutting down")
        if error := task.exception():
            return ModelStatus(entry, ModelState.FAILED, str(error))
        loaded = task.result()
        return ModelStatus(
            entry,
            ModelState.READY,
            compute_type=loaded.backend.compute_type,
            max_input_tokens=loaded.backend.limits.max_input_tokens if isinstance(loaded, LoadedGenerator) else 0,
            memory_bytes=loaded.backend.memory_bytes,
        )

    def usable(self, task: Task) -> list[CatalogEntry]:
        """The entries for this task that can be asked: fetched, and not FAILED."""
        unusable = (ModelState.NOT_FETCHED, ModelState.FAILED)
        return [e for e in self.catalog.entries if e.task is task and self.describe(e.name).state not in unusable]

    async def close(self) -> None:
        """Ends loads in work and closes every queue."""
        for task in self._loads.values():
            task.cancel()
        for loaded in await asyncio.gather(*self._loads.values(), return_exceptions=True):
            if isinstance(loaded, LoadedGenerator):
                await loaded.queue.close()

    async def _load(self, entry: CatalogEntry) -> Loaded:
        started = time.monotonic()
        try:
            backend = await asyncio.to_thread(self._make, entry)
            # Tried where its batches will run: a second thread that has run torch, even once and idle since,
            # keeps a team of OpenMP threads that slowed every batch by 40 %.
            await self.permits.run(lambda: lambda: try_model(entry, backend, self._detector))
        except ModelError as error:
            self._failed_at[entry.name] = time.monotonic()
            _log.error("model failed", extra={"model": entry.name, "cause": str(error)})
            asyncio.get_running_loop().call_soon(self._announce, entry.name)
            raise
        except Exception as error:
            self._failed_at[entry.name] = time.monotonic()
            _log.exception("model failed", extra={"model": entry.name})
            asyncio.get_running_loop().call_soon(self._announce, entry.name)
            raise ModelError(f"{type(error).__name__} while it was loaded; the log has the cause") from error
        _log.info("model ready", extra={"model": entry.name, "seconds": round(time.monotonic() - started, 3)})
        asyncio.get_running_loop().call_soon(self._announce, entry.name)
        if entry.task is Task.SUMMARIZATION:
            return LoadedRanker(entry, cast(RankerBackend, backend))
        translator = cast(GeneratorBackend, backend)
        return LoadedGenerator(entry, translator, BatchQueue(translator.run, translator.limits, self.permits))

    def _may_try_again(self, name: str) -> bool:
        """Whether a model failed long enough ago: its files may have been repaired, or memory freed."""
        return time.monotonic() - self._failed_at.get(name, math.inf) >= RETRY_SECONDS

    def _forget_failure(self, name: str) -> None:
        if self._may_try_again(name):
            del self._failed_at[name], self._loads[name]

    def _announce(self, name: str) -> None:
        for on_change in self._on_change:
            on_change(name)

    def _make(self, entry: CatalogEntry) -> Backend:
        """Verifies and loads a model; runs in a thread."""
        self._store.verify(entry)
        return self._make_backend(
            LoadRequest(
                name=entry.name,
                backend=entry.backend,
                family=entry.family,
                task=entry.task.value,
                folder=self._store.folder(entry),
                files=self._store.locate(entry),
                cache=self._store.cache(entry),
                languages=entry.language_tokens,
                prompt=entry.prompt,
                compute_type=entry.compute_type,
                max_input_tokens=entry.max_input_tokens,
                allow_pickle=entry.allow_pickle,
                threads=self._threads,
                device=self._device,
            )
        )
