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

from latimer_server.backends.huggingface.memory_estimate import foresee_bytes
from latimer_server.backends.protocol import Backend, GeneratorBackend, LoadRequest, RankerBackend
from latimer_server.core.decoding import Cancelled
from latimer_server.models.catalog.catalog import CatalogEntry
from latimer_server.models.pool.canary import try_model
from latimer_server.models.pool.gc_tuning import release_memory
from latimer_server.models.pool.loaded_model import Loaded, LoadedGenerator, LoadedRanker
from latimer_server.models.pool.vocabulary_coverage import KnownCharacters
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.models.store.local_models import Holding, Stamp
from latimer_server.models.store.store import Store
from latimer_server.scheduling import BatchQueue, Executors, Seat
from latimer_server.scheduling.thread_priority import SUMMARIES, give_way
from latimer_server.text.detection import LanguageDetector

T = TypeVar("T")
MakeBackend = Callable[[LoadRequest], Backend]


class Loader:
    """Makes models of what the store has. One event loop's."""

    def __init__(
        self,
        store: Store,
        make_backend: MakeBackend,
        executors: Executors,
        detector: LanguageDetector,
        device: str,
        cache: SegmentCache | None = None,
    ) -> None:
        self._store = store
        self._make_backend = make_backend
        self._executors = executors
        self._detector = detector
        self._device = device
        self._cache = cache
        self._seats: dict[str, Seat] = {}
        self._measured: dict[str, tuple[Stamp, int]] = {}

    def foresee_size(self, holding: Holding) -> tuple[int, int]:
        """The bytes that a model will take, and how many at the least: as measured, if its files are still those,
        else by their size. Files may hold twice what is loaded of them, such as embeddings that are shared."""
        entry = holding.entry
        stamp, size = self._measured.get(entry.name, (None, 0))
        if stamp == holding.stamp:
            return size, size
        size = foresee_bytes(describe_load(entry, self._store, device=self._device))
        return size, size // 2

    async def make(self, holding: Holding) -> Backend:
        """The backend of a model whose files were verified. Raises `ModelError`, or whatever a library raises."""
        given_up = threading.Event()
        try:
            backend = await _run_in_own_thread(lambda: self._make(holding, given_up.is_set))
        except asyncio.CancelledError:
            given_up.set()  # a thread cannot be stopped; a conversion in it can
            raise
        self._measured[holding.entry.name] = (holding.stamp, backend.memory_bytes)
        return backend

    async def finish(self, holding: Holding, backend: Backend) -> Loaded:
        """Tries the model, and puts its queue before it. Raises `ModelError` when its canary came out wrong."""
        entry = holding.entry
        seat = self._seats[entry.name] = self._choose_seat(entry, backend)
        # Tried where its batches will run: a second thread that has run torch, even once and idle since,
        # keeps a team of OpenMP threads that slowed every batch by 40 %.
        await seat.run(lambda: lambda: try_model(entry, backend, self._detector))
        if entry.ranks:
            return LoadedRanker(entry, cast(RankerBackend, backend))
        generator = cast(GeneratorBackend, backend)
        queue = BatchQueue(generator.run, generator.limits, seat)
        cache = self._cache.of_model(self._name_revision(holding, generator)) if self._cache is not None else None
        return LoadedGenerator(entry, generator, queue, KnownCharacters(generator), cache)

    async def release(self, entry: CatalogEntry, *, settled: bool = False) -> None:
        """Gives a model's memory back to the system; the caller refers to it no more."""
        # A batch whose callers have all gone may still run.
        if seat := self._seats.pop(entry.name, None):
            await seat.rest()
        await asyncio.to_thread(release_memory, settled=settled)

    def _choose_seat(self, entry: CatalogEntry, backend: Backend) -> Seat:
        if entry.ranks:
            return self._executors.seat_small()
        batches = cast(GeneratorBackend, backend).limits.concurrent_batches
        return self._executors.seat(batches, generation=entry.writes_summaries)

    def _name_revision(self, holding: Holding, backend: GeneratorBackend) -> str:
        """What tells apart models that may write differently: the digests of all files, and what computes with them.
        A model of which a file has no digest that is known is another one each time it is loaded."""
        entry = holding.entry
        record = self._store.record(entry)
        digests = {file.sha256 for file in entry.files.values() if file.sha256}
        digests |= {file.sha256 for file in record.files.values()} if record else set()
        if not record and not (entry.files and all(file.sha256 for file in entry.files.values())):
            digests.add(uuid.uuid4().hex)
        return " ".join([entry.name, backend.name, backend.compute_type, self._device, *sorted(digests)])

    def _make(self, holding: Holding, cancelled: Cancelled) -> Backend:
        """Verifies and loads a model; runs in a thread."""
        entry = holding.entry
        self._store.verify(entry)
        if entry.writes_summaries:
            give_way(SUMMARIES)
        threads = self._executors.count_threads(generation=entry.writes_summaries)
        return self._make_backend(
            describe_load(
                entry,
                self._store,
                languages=holding.tokens,
                threads=threads,
                device=self._device,
                cancelled=cancelled,
            )
        )


def describe_load(
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
