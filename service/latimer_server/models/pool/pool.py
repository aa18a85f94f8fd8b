"""Model pool: loads models on demand and keeps them loaded while they fit into memory.

Each model is loaded once, whatever the number of callers. It is READY only after its canary passed, and it is unloaded
only while no caller uses it. The pool delegates: `loading` creates a model, `memory_budget` decides which models fit,
and `store.local_models` says which files are on disk.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import cast

from latimer_server.core.errors import ModelError, NotServed, Unavailable
from latimer_server.core.telemetry import NoTelemetry, measure_load_wait
from latimer_server.models.catalog.catalog import Catalog, CatalogEntry, Task
from latimer_server.models.pool.active_model import ActiveModel, LoadFailure, describe_idle
from latimer_server.models.pool.gc_tuning import freeze_objects
from latimer_server.models.pool.loaded_model import Loaded, LoadedGenerator, LoadedRanker, ModelState, ModelStatus
from latimer_server.models.pool.loading import BackendLoader, Loader
from latimer_server.models.pool.memory_budget import MemoryBudget, MemoryReservation
from latimer_server.models.pool.pool_options import PoolOptions
from latimer_server.models.pool.ranking_run import RankingRun
from latimer_server.models.store.local_models import MAX_AGE_SECONDS, LocalModel, LocalModels
from latimer_server.models.store.store import Store
from latimer_server.scheduling import Executors, HeldRequest, Priority
from latimer_server.text.detection import LanguageDetector

_log = logging.getLogger(__name__)

# A request for a model that failed to load starts another attempt after this time, or once the model's files change.
RETRY_SECONDS = 30.0
# Exceptions that end a load but are not the model's fault, so they do not make it FAILED.
_INTERRUPTIONS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
_UNUSABLE = (ModelState.NOT_FETCHED, ModelState.FAILED)


class ModelPool:
    """Loads models on demand. Must be created and used inside the same running event loop.

    `executors`: the threads that run batches and canaries. `detector`: checks the language of a canary's output.
    `retry_seconds`: the time after which a failed model may be loaded again; may be set at any time.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        backend_loader: BackendLoader,
        executors: Executors,
        detector: LanguageDetector,
        options: PoolOptions,
    ) -> None:
        self.catalog = catalog
        self.retry_seconds = RETRY_SECONDS
        self._telemetry = options.telemetry or NoTelemetry()
        # Ranks the sentences of extractive summaries.
        self.ranking = RankingRun(executors.single_core_slot(), self._telemetry)
        self._loader = Loader(
            store, backend_loader, executors, detector, options.device, options.cache, options.telemetry
        )
        self._local_models = LocalModels(catalog, store)
        self._budget = MemoryBudget(options.max_memory, self._evict)
        self._pinned = frozenset(options.pinned)
        # By name, and by reservation: the second also has models that an operator unloads while callers still use them.
        self._active: dict[str, ActiveModel] = {}
        self._reserved: dict[MemoryReservation, ActiveModel] = {}
        self._failures: dict[str, LoadFailure] = {}
        # Per task: the time of the last look-up (monotonic seconds) and its result.
        self._usable: dict[Task, tuple[float, tuple[CatalogEntry, ...]]] = {}
        self._unloads: set[asyncio.Task[None]] = set()
        self._closing = False
        self._on_change: list[Callable[[str], None]] = []

    def subscribe(self, on_change: Callable[[str], None]) -> None:
        """Calls `on_change` with a model's name each time the model becomes READY or FAILED, or is unloaded."""
        self._on_change.append(on_change)

    async def load(self, name: str, *, again: bool = False) -> ModelStatus:
        """Waits until a model is loaded, and starts to load it if necessary. `again`: even if it just failed.

        Returns the status of the loaded model. It may have to make room for another model as soon as this ends.

        Raises as `hold_generator` does, but a ranker is no error.
        """
        if again:
            self._failures.pop(name, None)
        async with self._hold(name):
            return replace(self.describe(name), state=ModelState.READY)

    @asynccontextmanager
    async def hold_generator(self, name: str) -> AsyncIterator[LoadedGenerator]:
        """Yields the loaded model, which writes text, for a few batches, and loads it first if necessary.

        The model is not unloaded inside the context. A caller must therefore not wait for a second model while it
        holds one (two such callers could block each other), and must not keep a reference afterwards, which would keep
        the memory: use a function of its own for the `async with`. If the caller is cancelled, a load that has
        started continues and nothing else remains.

        Raises `NotServed` if the model is not in the catalogue, writes no text, is not fetched or cannot be loaded,
        and `Unavailable` while the server shuts down.
        """
        if self.catalog.get(name).ranks:
            raise NotServed(f"model {name} writes no text: it only ranks sentences")
        async with self._hold(name) as loaded:
            yield cast(LoadedGenerator, loaded)

    @asynccontextmanager
    async def hold_ranker(self, name: str) -> AsyncIterator[LoadedRanker]:
        """Yields a loaded model that ranks sentences, as `hold_generator` yields one that writes text."""
        if not self.catalog.get(name).ranks:
            raise NotServed(f"model {name} ranks no sentences")
        async with self._hold(name) as loaded:
            yield cast(LoadedRanker, loaded)

    def require_deadline_met(self, name: str, deadline: float, caller: Hashable, *, cached: bool) -> None:
        """Raises `Overloaded` if the model's queue is too long for an interactive request with this deadline.

        This is an early check, before the request's text is read. It passes if the model is not loaded, or if the
        model has a cache and `cached` says that the request may use it.
        """
        loaded = active.loaded if (active := self._active.get(name)) else None
        if isinstance(loaded, LoadedGenerator) and not (cached and loaded.cache):
            loaded.queue.require_deadline_met(deadline, Priority.INTERACTIVE, caller)

    def hold_request(
        self, name: str, characters: int, deadline: float | None, caller: Hashable, *, cached: bool
    ) -> AbstractContextManager[HeldRequest | None]:
        """Counts an interactive request of `characters` code points in the model's backlog until the context ends.

        The context is the counted request, or None if the model is not loaded or has no queue. Raises as
        `require_deadline_met` does, also if the requests in work leave too little time.
        """
        loaded = active.loaded if (active := self._active.get(name)) else None
        if not isinstance(loaded, LoadedGenerator):
            return nullcontext()
        if cached and loaded.cache:
            deadline = None  # the cache may answer at once
        loaded.queue.require_deadline_met(deadline, Priority.INTERACTIVE, caller)
        return loaded.queue.hold_request(characters, deadline, caller)

    async def unload(self, name: str) -> ModelStatus:
        """Unloads a model once its holders are done, waits until it is unloaded, and returns its status afterwards.

        Callers that ask for the model meanwhile cause it to be loaded again, beside the old one if there is room, since
        a long batch may hold that one for minutes. A model that is neither loaded nor loading stays as it is. Raises
        `NotServed` if the name is not in the catalogue. If the caller is cancelled, unloading continues.
        """
        self.catalog.get(name)
        active = self._active.get(name)
        if active is None:
            return self.describe(name)
        self._budget.evict_when_idle(active.reservation)
        while active.reservation in self._reserved:
            await active.reservation.wait()
        if name in self._active:
            return self.describe(name)
        local = self._local_models.refresh(name)
        return describe_idle(local, ModelState.AVAILABLE if local.fetched else ModelState.NOT_FETCHED)

    def describe(self, name: str) -> ModelStatus:
        """Returns the status of a model. Raises `NotServed` if the name is not in the catalogue."""
        active = self._active.get(name)
        if active is None:
            local = self._local_models.get(name)
            failure = self._failures.get(name)
            return describe_idle(local, self._idle_state(local), failure.cause if failure else local.error)
        return active.describe()

    def list_known(self) -> list[str]:
        """Returns the names of the models that are preloaded, loaded, loading or FAILED, sorted."""
        known = {entry.name for entry in self.catalog.entries}
        return sorted({*self._pinned, *self._active, *self._failures} & known)

    def list_usable(self, task: Task) -> tuple[CatalogEntry, ...]:
        """Returns the entries for this task that are fetched and not FAILED, with the languages that their files serve.

        Returns the same tuple object until something changes, so that callers can key caches on it. The answer may be
        `MAX_AGE_SECONDS` old: every request asks, and a look-up visits each entry of the catalogue.
        """
        looked_up_at, last = self._usable.get(task, (-math.inf, ()))
        if time.monotonic() - looked_up_at < min(MAX_AGE_SECONDS, self.retry_seconds):
            return last
        usable = []
        for entry in self.catalog.entries:
            if entry.task is task:
                active = self._active.get(entry.name)
                local = active.local if active else self._local_models.get(entry.name)
                if active or self._idle_state(local) not in _UNUSABLE:
                    usable.append(local.entry)
        if len(last) != len(usable) or any(old is not new for old, new in zip(last, usable, strict=True)):
            last = tuple(usable)
        self._usable[task] = time.monotonic(), last
        return last

    def get_entry(self, name: str) -> CatalogEntry:
        """Returns a model's entry with the languages that its files serve.

        Raises `NotServed` if the name is not in the catalogue.
        """
        active = self._active.get(name)
        return (active.local if active else self._local_models.get(name)).entry

    def scan_files(self) -> None:
        """Inspects the files of every model of the catalogue, so that the first request does not wait for that.

        Call it before the server accepts requests.
        """
        for entry in self.catalog.entries:
            self._local_models.get(entry.name)

    def freeze_loaded(self) -> None:
        """Exempts all objects, and so the loaded models, from garbage collection, see `gc_tuning.freeze_objects`."""
        freeze_objects()
        for active in self._reserved.values():
            active.frozen = True

    async def close(self) -> None:
        """Cancels loads in progress, closes every queue and waits for unloads in progress."""
        self._closing = True
        active_models = list(self._reserved.values())
        for active in active_models:
            active.task.cancel()
        await asyncio.gather(*(active.task for active in active_models), return_exceptions=True)
        for active in active_models:
            if isinstance(active.loaded, LoadedGenerator):
                await active.loaded.queue.close()
        await asyncio.gather(*self._unloads, return_exceptions=True)

    @asynccontextmanager
    async def _hold(self, name: str) -> AsyncIterator[Loaded]:
        while (active := self._active.get(name)) is not None and active.reservation.is_closed:
            if active.reservation.evict_requested and active.loaded:
                del self._active[name]  # it serves its holders to their end
                active = None
                break
            with measure_load_wait():
                await active.reservation.wait()
        active = active or self._begin(name)
        self._budget.hold(active.reservation)
        try:
            yield await self._wait_for(active)
        finally:
            self._budget.release(active.reservation)
            if active.reservation.holders == 0 and not active.started:
                active.task.cancel()  # it still waits for memory, and its last caller is gone
                self._remove(active)

    async def _wait_for(self, active: ActiveModel) -> Loaded:
        if active.loaded is not None and active.task.done():
            return active.loaded
        try:
            with measure_load_wait():
                await asyncio.shield(active.task)
        except ModelError as error:
            raise NotServed(f"model {active.reservation.name} failed to load: {error}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closing and not (task and task.cancelling()):
                raise Unavailable("the server is shutting down") from None
            raise
        assert active.loaded is not None  # noqa: S101 (the task has finished, and a held model is not unloaded)
        return active.loaded

    def _begin(self, name: str) -> ActiveModel:
        """Starts a task that loads a model, and returns the model at once. Raises as `hold_generator` does."""
        if self._closing:
            raise Unavailable("the server is shutting down")
        entry = self.catalog.get(name)
        local = self._local_models.refresh(name)
        match self._idle_state(local):
            case ModelState.NOT_FETCHED:
                raise NotServed(f"model {name} is not fetched: run latimer-server models fetch {name}")
            case ModelState.FAILED:
                raise NotServed(f"model {name} failed to load: {self.describe(name).error}")
            case _:
                self._failures.pop(name, None)
        size, least = self._loader.estimate_size(local)
        active = ActiveModel(local, MemoryReservation(name, size, least=least, pinned=entry.name in self._pinned))
        active.task = asyncio.get_running_loop().create_task(self._load(active))
        # Marks the exception as retrieved: `_load` has logged it already.
        active.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._active[name] = self._reserved[active.reservation] = active
        self._invalidate_usable()
        return active

    async def _load(self, active: ActiveModel) -> None:
        """Loads a model, or remembers that it FAILED and raises `ModelError`.

        A model that is larger than estimated and does not fit is freed, and loaded again if a caller still waits.
        """
        name, started = active.reservation.name, time.monotonic()
        try:
            while not await self._try_to_load(active):
                active.started = False
                self._budget.free(active.reservation)
                if active.reservation.holders == 0:
                    self._remove(active)
                    return
        except _INTERRUPTIONS:
            raise
        except BaseException as error:  # noqa: BLE001 (libraries raise anything; a Rust panic is not an Exception)
            expected = isinstance(error, ModelError)
            cause = str(error) if expected else f"{type(error).__name__} while it was loaded; see the server's log"
            extra = {"model": name, "cause": cause}
            _log.error("model failed", exc_info=None if expected else error, extra=extra)
            self._telemetry.note_load(name, False, time.monotonic() - started)  # noqa: FBT003
        else:
            seconds = time.monotonic() - started
            compute_type = active.loaded.backend.compute_type if active.loaded else ""
            ready = {"model": name, "compute_type": compute_type, "seconds": round(seconds, 3)}
            _log.info("model ready", extra=ready)
            self._telemetry.note_load(name, True, seconds)  # noqa: FBT003
            self._announce(name)
            return
        # Outside of the handler: the error's traceback refers to frames that hold the model, and would keep its memory.
        self._failures[name] = LoadFailure(cause, time.monotonic(), active.local.stamp)
        await self._loader.release(active.slot)
        self._remove(active)
        self._announce(name)
        raise ModelError(cause)

    async def _try_to_load(self, active: ActiveModel) -> bool:
        """Reserves memory and loads a model. If it proves larger and does not fit, frees it and returns False."""
        reservation = active.reservation
        await self._budget.acquire(reservation)
        active.started = True
        self._budget.hold(reservation)
        try:
            backend = await self._loader.make(active.local)
            if self._budget.confirm(reservation, backend.memory_bytes):
                active.slot = self._loader.choose_slot(active.local.entry, backend)
                active.loaded = await self._loader.finish(active.local, backend, active.slot)
                return True
            reservation.size = reservation.least = backend.memory_bytes
            del backend
            await self._loader.release(None)
            return False
        finally:
            self._budget.release(reservation)

    def _evict(self, reservation: MemoryReservation) -> None:
        task = asyncio.get_running_loop().create_task(self._unload(self._reserved[reservation]))
        self._unloads.add(task)
        task.add_done_callback(self._unloads.discard)

    async def _unload(self, active: ActiveModel) -> None:
        """Closes the queue of a model that has no holders, frees its memory and removes it from the pool."""
        await asyncio.gather(active.task, return_exceptions=True)
        if isinstance(active.loaded, LoadedGenerator):
            await active.loaded.queue.close()
        active.loaded = None
        await self._loader.release(active.slot, frozen=active.frozen)
        _log.info("model unloaded", extra={"model": active.reservation.name, "bytes": active.reservation.size})
        self._remove(active)
        self._announce(active.reservation.name)

    def _remove(self, active: ActiveModel) -> None:
        self._reserved.pop(active.reservation, None)
        if self._active.get(active.reservation.name) is active:
            del self._active[active.reservation.name]
            self._invalidate_usable()
        self._budget.free(active.reservation)

    def _idle_state(self, local: LocalModel) -> ModelState:
        """Returns the state of a model that is neither loaded nor loading."""
        if not local.fetched:
            return ModelState.NOT_FETCHED
        failure = self._failures.get(local.entry.name)
        recent = failure and failure.stamp == local.stamp and time.monotonic() - failure.at < self.retry_seconds
        return ModelState.FAILED if recent or local.error else ModelState.AVAILABLE

    def _invalidate_usable(self) -> None:
        self._usable = {task: (-math.inf, entries) for task, (_, entries) in self._usable.items()}

    def _announce(self, name: str) -> None:
        self._invalidate_usable()
        for on_change in self._on_change:
            on_change(name)
