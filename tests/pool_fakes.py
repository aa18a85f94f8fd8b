"""Backends of a given size, models of a few bytes, and a pool of them: nothing that needs a library or a socket."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from latimer_server.backends.extractive import ExtractiveRanker
from latimer_server.backends.protocol import Backend, LoadRequest
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import ModelError
from latimer_server.models.catalog.catalog import Catalog, CatalogEntry, FileEntry, Task
from latimer_server.models.pool.pool import ModelPool, PoolOptions
from latimer_server.models.store.store import Store
from latimer_server.scheduling import Executors
from latimer_server.text.detection import LanguageDetector
from tests.fakes import EchoBackend, make_catalog


class SizedBackend(EchoBackend):
    """An echo of a given size, which knows in which thread it runs."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.memory_bytes = size
        self.threads: set[str] = set()

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.threads.add(threading.current_thread().name)
        return super().run(batch, options, cancelled)


class Knot(SizedBackend):
    """A backend that refers to itself, as networks of some libraries do; only a collection frees it."""

    def __init__(self, alive: list[weakref.ref[Knot]]) -> None:
        super().__init__(10)
        self.me = self
        alive.append(weakref.ref(self))


class Maker:
    """Makes backends, notes which, and can be made to wait or to fail."""

    def __init__(self, sizes: dict[str, int] | None = None) -> None:
        self.sizes = sizes or {}
        self.made: Counter[str] = Counter()
        self.requests: dict[str, LoadRequest] = {}
        self.niceness: dict[str, int] = {}
        self.live: weakref.WeakValueDictionary[int, SizedBackend] = weakref.WeakValueDictionary()
        self.gate = threading.Event()
        self.gate.set()
        self.failing: set[str] = set()

    def __call__(self, request: LoadRequest) -> Backend:
        assert self.gate.wait(10)
        self.made[request.name] += 1
        self.requests[request.name] = request
        self.niceness[request.name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        if request.name in self.failing:
            raise ModelError("its weights are no weights")
        if request.backend == "extractive":
            return ExtractiveRanker()
        backend = SizedBackend(self.sizes.get(request.name, 10))
        self.live[sum(self.made.values())] = backend
        return backend


def make_model(folder: Path, name: str, *, size: int = 10, **keys: Any) -> CatalogEntry:
    """A model with a file of `size` bytes."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "model.bin").write_bytes(b"w" * size)
    fields: dict[str, Any] = {
        "name": name,
        "task": Task.TRANSLATION,
        "family": "fake",
        "backend": "fake",
        "source_languages": ("en",),
        "target_languages": ("pt",),
        "source": f"dir:{folder / name}",
        "files": {"model": FileEntry(path="model.bin")},
    }
    return CatalogEntry(**fields | keys)


@asynccontextmanager
async def open_pool(
    catalog: Catalog, folder: Path, maker: Callable[[LoadRequest], Backend], **keys: Any
) -> AsyncIterator[ModelPool]:
    """A pool on four cores."""
    executors = Executors(4)
    pool = ModelPool(catalog, Store(folder / "store"), maker, executors, LanguageDetector(), PoolOptions(**keys))
    try:
        yield pool
    finally:
        await pool.close()
        executors.close()


def make_models(folder: Path, names: str, **keys: Any) -> Catalog:
    """A catalogue of models of ten bytes each."""
    return make_catalog(*(make_model(folder, name, **keys) for name in names.split()))


def states(pool: ModelPool) -> dict[str, str]:
    """The states of all models but the ranker."""
    return {
        entry.name: pool.describe(entry.name).state.name for entry in pool.catalog.entries if entry.name != "extractive"
    }


async def until(condition: Callable[[], object]) -> None:
    """Lets everybody else go on until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)
