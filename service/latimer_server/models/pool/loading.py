"""How a model gets into memory and out again: verified, made, tried, and all of its memory given back.

Knows the store and how to make a backend; not who asked, nor whether there is room.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from latimer_server.backends.huggingface.memory_estimate import estimate_bytes
from latimer_server.backends.protocol import Backend, GeneratorBackend, LoadRequest, RankerBackend
from latimer_server.core.decoding import Cancelled
from latimer_server.models.catalog.catalog import CatalogEntry
from latimer_server.models.pool.canary import run_canary
from latimer_server.models.pool.gc_tuning import release_memory
from latimer_server.models.pool.loaded_model import Loaded, LoadedGenerator, LoadedRanker
from latimer_server.models.pool.vocabulary_coverage import VocabularyCoverage
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.models.store.local_models import FolderStamp, LocalModel
from latimer_server.models.store.store import Store
from latimer_server.scheduling import BatchQueue, ComputeSlot, Executors
from latimer_server.scheduling.thread_priority import SUMMARY_NICENESS, lower_priority
from latimer_server.text.detection import LanguageDetector

T = TypeVar("T")
BackendLoader = Callable[[LoadRequest], Backend]


class Loader:
    """Makes models of what the store has. One event loop's."""

    def __init__(
        self,
        store: Store,
        backend_loader: BackendLoader,
        executors: Executors,
        detector: LanguageDetector,
        device: str,
        cache: SegmentCache | None = None,
    ) -> None:
        self._store = store
        self._backend_loader = backend_loader
        self._executors = executors
        self._detector = detector
        self._device = device
        self._cache = cache
        self._slots_by_model: dict[str, ComputeSlot] = {}
        self._measured: dict[str, tuple[FolderStamp, int]] = {}

    def estimate_size(self, local: LocalModel) -> tuple[int, int]:
        """The bytes that a model will take, and how many at the least: as measured, if its files are still those,
        else by their size. Files may hold twice what is loaded of them, such as embeddings that are shared."""
        entry = local.entry
        stamp, size = self._measured.get(entry.name, (None, 0))
        if stamp == local.stamp:
            return size, size
        size = estimate_bytes(build_load_request(entry, self._store, device=self._device))
        return size, size // 2

    async def make(self, local: LocalModel) -> Backend:
        """The backend of a model whose files were verified. Raises `ModelError`, or whatever a library raises."""
        given_up = threading.Event()
        try:
            backend = await _run_in_own_thread(lambda: self._make(local, given_up.is_set))
        except asyncio.CancelledError:
            given_up.set()  # a thread cannot be stopped; a conversion in it can
            raise
        self._measured[local.entry.name] = (local.stamp, backend.memory_bytes)
        return backend

    async def finish(self, local: LocalModel, backend: Backend) -> Loaded:
        """Tries the model, and puts its queue before it. Raises `ModelError` when its canary came out wrong."""
        entry = local.entry
        slot = self._slots_by_model[entry.name] = self._choose_slot(entry, backend)
        # Tried where its batches will run: a second thread that has run torch, even once and idle since,
        # keeps a team of OpenMP threads that slowed every batch by 40 %.
        await slot.run(lambda: lambda: run_canary(entry, backend, self._detector))
        if entry.ranks:
            return LoadedRanker(entry, cast(RankerBackend, backend))
        generator = cast(GeneratorBackend, backend)
        queue = BatchQueue(generator.run, generator.limits, slot)
        cache = self._cache.of_model(self._name_revision(local, generator)) if self._cache is not None else None
        return LoadedGenerator(entry, generator, queue, VocabularyCoverage(generator), cache)

    async def release(self, entry: CatalogEntry, *, settled: bool = False) -> None:
        """Gives a model's memory back to the system; the caller refers to it no more."""
        # A batch whose callers have all gone may still run.
        if slot := self._slots_by_model.pop(entry.name, None):
            await slot.wait_until_idle()
        await asyncio.to_thread(release_memory, settled=settled)

    def _choose_slot(self, entry: CatalogEntry, backend: Backend) -> ComputeSlot:
        if entry.ranks:
            return self._executors.single_core_slot()
        batches = cast(GeneratorBackend, backend).limits.concurrent_batches
        return self._executors.slot(batches, generation=entry.writes_summaries)

    def _name_revision(self, local: LocalModel, backend: GeneratorBackend) -> str:
        """What tells apart models that may write differently: the digests of all files, and what computes with them.
        A model of which a file has no digest that is known is another one each time it is loaded."""
        entry = local.entry
        record = self._store.record(entry)
        digests = {file.sha256 for file in entry.files.values() if file.sha256}
        digests |= {file.sha256 for file in record.files.values()} if record else set()
        if not record and not (entry.files and all(file.sha256 for file in entry.files.values())):
            digests.add(uuid.uuid4().hex)
        return " ".join([entry.name, backend.name, backend.compute_type, self._device, *sorted(digests)])

    def _make(self, local: LocalModel, cancelled: Cancelled) -> Backend:
        """Verifies and loads a model; runs in a thread."""
        entry = local.entry
        self._store.verify(entry)
        if entry.writes_summaries:
            lower_priority(SUMMARY_NICENESS)
        threads = self._executors.count_threads(generation=entry.writes_summaries)
        return self._backend_loader(
            build_load_request(
                entry,
                self._store,
                languages=local.tokens,
                threads=threads,
                device=self._device,
                cancelled=cancelled,
            )
        )


def build_load_request(
    entry: CatalogEntry,
    store: Store,
    *,
    languages: Mapping[str, str] | None = None,
    threads: int = 1,
    device: str = "cpu",
    cancelled: Cancelled = lambda: False,
) -> LoadRequest:
    """What a backend is told of a model that is in the store."""
    return LoadRequest(
        name=entry.name,
        backend=entry.backend,
        task=entry.task.value,
        folder=store.folder(entry),
        files=store.locate(entry),
        cache=store.cache(entry),
        languages=languages or {},
        prompt=entry.prompt,
        compute_type=entry.compute_type,
        max_input_tokens=entry.max_input_tokens,
        allow_pickle=entry.allow_pickle,
        threads=threads,
        device=device,
        cancelled=cancelled,
    )


async def _run_in_own_thread(work: Callable[[], T]) -> T:
    """Runs `work` in a thread that ends with it, and with whatever OpenMP keeps for it."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="load")
    try:
        result = await asyncio.get_running_loop().run_in_executor(executor, work)
    except BaseException:
        executor.shutdown(wait=False)
        raise
    await asyncio.to_thread(executor.shutdown)  # until it has ended, it refers to the result
    return result
