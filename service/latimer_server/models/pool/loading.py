"""Loader: verifies a model's files, creates its backend, runs its canary, and later frees its memory."""

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
from latimer_server.core.telemetry import Telemetry
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
    """Creates loaded models from files in the store. Must be used inside one event loop.

    `backend_loader`: creates the backend of a model. `executors`: the threads that run batches and canaries.
    `detector`: checks the language of a canary's output. `device`: "cpu", "cuda" or "auto". `telemetry`: receives a
    report of each batch.
    """

    def __init__(
        self,
        store: Store,
        backend_loader: BackendLoader,
        executors: Executors,
        detector: LanguageDetector,
        device: str,
        cache: SegmentCache | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._store = store
        self._backend_loader = backend_loader
        self._executors = executors
        self._detector = detector
        self._device = device
        self._cache = cache
        self._telemetry = telemetry
        self._measured: dict[str, tuple[FolderStamp, int]] = {}

    def estimate_size(self, local: LocalModel) -> tuple[int, int]:
        """Returns the bytes that a model is expected to take in memory, and a lower bound of that number.

        Both are the measured size if the model was loaded before and its files have not changed. Else the first is
        estimated from the size of its files, and the second is half of that: files may store shared weights, such as
        embeddings, twice.
        """
        entry = local.entry
        stamp, size = self._measured.get(entry.name, (None, 0))
        if stamp == local.stamp:
            return size, size
        size = estimate_bytes(build_load_request(entry, self._store, device=self._device))
        return size, size // 2

    async def make(self, local: LocalModel) -> Backend:
        """Verifies a model's files and creates its backend, in a thread of its own.

        Raises `ModelError`, or any exception of a library. If the caller is cancelled, the thread
        continues, but a conversion in it stops early.
        """
        cancelled = threading.Event()
        try:
            backend = await _run_in_own_thread(lambda: self._make(local, cancelled.is_set))
        except asyncio.CancelledError:
            cancelled.set()  # the thread cannot be stopped, but a conversion in it checks this
            raise
        self._measured[local.entry.name] = (local.stamp, backend.memory_bytes)
        return backend

    async def finish(self, local: LocalModel, backend: Backend, slot: ComputeSlot) -> Loaded:
        """Runs the canary of a model and returns the loaded model, with its queue if it writes text.

        `slot`: the result of `choose_slot`, in which the canary and all batches run. Raises `ModelError` if the canary
        fails.
        """
        entry = local.entry
        # The canary runs in the thread that will run the batches. Every thread that has once run torch keeps a team of
        # OpenMP threads; a second, idle team slowed each batch by 40 %.
        await slot.run(lambda: lambda: run_canary(entry, backend, self._detector))
        if entry.ranks:
            return LoadedRanker(entry, cast(RankerBackend, backend))
        generator = cast(GeneratorBackend, backend)
        queue = BatchQueue(generator.run, generator.limits, slot, model=entry.name, telemetry=self._telemetry)
        cache = self._cache.of_model(self._identify_revision(local, generator)) if self._cache is not None else None
        return LoadedGenerator(entry, generator, queue, VocabularyCoverage(generator), cache)

    async def release(self, slot: ComputeSlot | None, *, frozen: bool = False) -> None:
        """Waits until no batch of a model runs in its slot, then frees its memory.

        The caller must have dropped its references to the model. `slot` is None for a model that never had one.
        `frozen`: the model was loaded when `freeze_objects` ran.
        """
        # A batch may still run although its callers were cancelled.
        if slot is not None:
            await slot.wait_until_idle()
        await asyncio.to_thread(release_memory, frozen=frozen)

    def choose_slot(self, entry: CatalogEntry, backend: Backend) -> ComputeSlot:
        """Returns the slot in which the batches of a model run."""
        if entry.ranks:
            return self._executors.single_core_slot()
        limits = cast(GeneratorBackend, backend).limits
        return self._executors.slot(
            limits.concurrent_batches, generation=entry.writes_summaries, delegates=limits.delegates
        )

    def _identify_revision(self, local: LocalModel, backend: GeneratorBackend) -> str:
        """Returns a text that is equal only for models that write the same output, for the keys of the segment cache.

        It consists of the model's name, the backend, the compute type, the device and the digests of all files. If a
        digest is unknown, the text is new at each load, so that the cache has no entries for it.
        """
        entry = local.entry
        record = self._store.record(entry)
        digests = {file.sha256 for file in entry.files.values() if file.sha256}
        digests |= {file.sha256 for file in record.files.values()} if record else set()
        if not record and not (entry.files and all(file.sha256 for file in entry.files.values())):
            digests.add(uuid.uuid4().hex)
        computation = [backend.name, backend.compute_type, entry.vocabulary or "default", self._device]
        return " ".join([entry.name, *computation, *sorted(digests)])

    def _make(self, local: LocalModel, cancelled: Cancelled) -> Backend:
        """Verifies the files and creates the backend. Blocks; must run in a thread of its own.

        Lowers the thread's priority for a model that writes summaries.
        """
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
    """Returns the `LoadRequest` with which a backend loads this model from the store.

    `languages`: the model's language tokens by BCP-47 code. `threads`: the cores that one batch may use.
    """
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
        vocabulary=entry.vocabulary,
        max_input_tokens=entry.max_input_tokens,
        allow_pickle=entry.allow_pickle,
        threads=threads,
        device=device,
        cancelled=cancelled,
    )


async def _run_in_own_thread(work: Callable[[], T]) -> T:
    """Runs `work` in a new thread and returns its result once the thread has ended.

    The memory that OpenMP keeps for the thread is freed with it.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="load")
    try:
        result = await asyncio.get_running_loop().run_in_executor(executor, work)
    except BaseException:
        executor.shutdown(wait=False)
        raise
    await asyncio.to_thread(executor.shutdown)  # the thread refers to the result until it has ended
    return result
