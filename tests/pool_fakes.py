"""Backends of a given size, models of a few bytes, and a pool of them. Needs no model library and no socket."""

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
from latimer_server.models.pool.pool import ModelPool
from latimer_server.models.pool.pool_options import PoolOptions
from latimer_server.models.store.store import Store
from latimer_server.scheduling import Executors
from latimer_server.text.detection import LanguageDetector
from tests.fakes import EchoBackend, make_catalog


class SizedBackend(EchoBackend):
    """An echo of a given size. `threads`: the names of the threads that ran its batches."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.memory_bytes = size
        self.threads: set[str] = set()

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.threads.add(threading.current_thread().name)
        return super().run(batch, options, cancelled)


class Knot(SizedBackend):
    """A backend that refers to itself, as the networks of some libraries do. Only a garbage collection frees it."""

    def __init__(self, alive: list[weakref.ref[Knot]]) -> None:
        super().__init__(10)
        self.me = self
        alive.append(weakref.ref(self))


class Maker:
    """A backend loader that counts what it makes. It waits while `gate` is cleared, and raises for the names in
    `failing`. `sizes`: bytes by model name, 10 by default. `live`: the backends that are still referred to."""

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
    """Writes a model file of `size` bytes and returns the model's catalogue entry."""
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
    """Opens a pool on four cores."""
    executors = Executors(4)
    pool = ModelPool(catalog, Store(folder / "store"), maker, executors, LanguageDetector(), PoolOptions(**keys))
    try:
        yield pool
    finally:
        await pool.close()
        executors.close()


def make_models(folder: Path, names: str, **keys: Any) -> Catalog:
    """Returns a catalogue of models of ten bytes each. `names` are separated by spaces."""
    return make_catalog(*(make_model(folder, name, **keys) for name in names.split()))


def states(pool: ModelPool) -> dict[str, str]:
    """Returns the states of all models except the ranker."""
    return {
        entry.name: pool.describe(entry.name).state.name for entry in pool.catalog.entries if entry.name != "extractive"
    }


async def until(condition: Callable[[], object]) -> None:
    """Runs the event loop until the condition holds; at most 10 seconds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)
