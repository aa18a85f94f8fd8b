"""The models that are loaded: each once, however many ask, READY only after its canary, gone only when unused.

Knows the catalogue and what of it is in memory; nothing of requests. How a model is made is `loading`'s to
know, who has room `room`'s, and what the files make of an entry `inventory`'s.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import cast

from latimer_server.core.errors import ModelError, NotServed, Unavailable
from latimer_server.models.catalog.catalog import Catalog, CatalogEntry, Task
from latimer_server.models.pool.gc_tuning import freeze_objects
from latimer_server.models.pool.loaded_model import Loaded, LoadedGenerator, LoadedRanker, ModelState, ModelStatus
from latimer_server.models.pool.loading import BackendLoader, Loader
from latimer_server.models.pool.memory_budget import MemoryBudget, MemoryReservation
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.models.store.local_models import MAX_AGE_SECONDS, FolderStamp, LocalModel, LocalModels
from latimer_server.models.store.store import Store
from latimer_server.scheduling import Executors, Priority
from latimer_server.text.detection import LanguageDetector

_log = logging.getLogger(__name__)

# A model that failed is tried again, if somebody asks for it, after this long; sooner if its files change.
RETRY_SECONDS = 30.0
# What ends a load without being the model's failure.
_NOT_THE_MODELS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
_UNUSABLE = (ModelState.NOT_FETCHED, ModelState.FAILED)


@dataclass(frozen=True)
class _Failure:
    """Why a model could not be loaded, when, and how its files were then."""

    cause: str
    at: float
    stamp: FolderStamp


@dataclass(eq=False)
class _ActiveModel:
    """A model that is loaded or on its way. `started`: it has room, and its load goes on whoever leaves. `settled`:
    it was there when memory settled."""

    local: LocalModel
    reservation: MemoryReservation
    task: asyncio.Task[None] = field(init=False)
    loaded: Loaded | None = None
    started: bool = False
    settled: bool = False

    @property
    def state(self) -> ModelState:
        if self.reservation.unloading or (self.loaded and self.reservation.is_closed):
            return ModelState.DRAINING
        return ModelState.READY if self.loaded else ModelState.LOADING


class ModelPool:
    """Loads models on demand. Make and use it inside one event loop.

    `executors` run batches, canaries among them. `max_memory`: bytes of all models together, None for any
    number. `pinned`: names that make way for no other model. `cache`: where what they wrote is kept.
    `retry_seconds`: the time after which a failed model is tried again; may be set at any time.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        backend_loader: BackendLoader,
        executors: Executors,
        detector: LanguageDetector,
        device: str = "cpu",
        *,
        max_memory: int | None = None,
        pinned: Sequence[str] = (),
        cache: SegmentCache | None = None,
    ) -> None:
        self.catalog = catalog
        self.retry_seconds = RETRY_SECONDS
        # Where sentences are ranked.
        self.ranking_slot = executors.single_core_slot()
        self._loader = Loader(store, backend_loader, executors, detector, device, cache)
        self._local_models = LocalModels(catalog, store)
        self._budget = MemoryBudget(max_memory, self._evict)
        self._pinned = frozenset(pinned)
        self._active: dict[str, _ActiveModel] = {}
        self._failures: dict[str, _Failure] = {}
        self._usable: dict[Task, tuple[float, tuple[CatalogEntry, ...]]] = {}  # and when that was looked up
        self._unloads: set[asyncio.Task[None]] = set()
        self._closing = False
        self._on_change: list[Callable[[str], None]] = []

    def subscribe(self, on_change: Callable[[str], None]) -> None:
        """Calls `on_change` with a model's name whenever it became READY or FAILED, or was unloaded."""
        self._on_change.append(on_change)

    async def load(self, name: str, *, again: bool = False) -> None:
        """Loads a model if need be; `again`: though it failed a moment ago. Raises as `hold_generator` does."""
        if again:
            self._failures.pop(name, None)
        async with self._hold(name):
            return

    @asynccontextmanager
    async def hold_generator(self, name: str) -> AsyncIterator[LoadedGenerator]:
        """The loaded model, for one batch or a few; loads it first if need be. It is not unloaded meanwhile, so
        nobody may hold one model and wait for another; nor refer to it afterwards, which would keep its memory: hold
        it in a function of its own. A caller that is cancelled leaves nothing behind, except a load that has begun.

        Raises `NotServed` when there is no such model, it writes no text, is not fetched or cannot be loaded.
        """
        if self.catalog.get(name).ranks:
            raise NotServed(f"model {name} writes no text of its own")
        async with self._hold(name) as loaded:
            yield cast(LoadedGenerator, loaded)

    @asynccontextmanager
    async def hold_ranker(self, name: str) -> AsyncIterator[LoadedRanker]:
        """`hold_generator`, for a model that must rank sentences."""
        if not self.catalog.get(name).ranks:
            raise NotServed(f"model {name} ranks no sentences")
        async with self._hold(name) as loaded:
            yield cast(LoadedRanker, loaded)

    def require_deadline_met(self, name: str, deadline: float, caller: Hashable, *, cached: bool) -> None:
        """Raises `Overloaded` where an interactive request would wait in vain for a model, as far as that can be told
        before its text is looked at; `cached`: whether the cache may know it. Says nothing of a model that is not
        loaded."""
        loaded = active.loaded if (active := self._active.get(name)) else None
        if isinstance(loaded, LoadedGenerator) and not (cached and loaded.cache):
            loaded.queue.require_deadline_met(deadline, Priority.INTERACTIVE, caller)

    async def unload(self, name: str) -> ModelStatus:
        """Unloads a model once its holders are done, and says how it was then. Whoever asks for it meanwhile
        waits, and then has it loaded again. Does nothing to one that is not loaded.

        Raises `NotServed` when there is none of this name. A caller that is cancelled does not stop it.
        """
        self.catalog.get(name)
        active = self._active.get(name)
        if active is None:
            return self.describe(name)
        self._budget.evict_when_idle(active.reservation)
        while self._active.get(name) is active:
            await active.reservation.wait()
        local = self._local_models.refresh(name)
        return _describe(local, ModelState.AVAILABLE if local.fetched else ModelState.NOT_FETCHED)

    def describe(self, name: str) -> ModelStatus:
        """The status of a model. Raises `NotServed` when there is none of this name."""
        active = self._active.get(name)
        if active is None:
            local = self._local_models.get(name)
            failure = self._failures.get(name)
            return _describe(local, self._idle_state(local), failure.cause if failure else local.error)
        status = _describe(active.local, active.state)
        if active.loaded is None:
            return status
        backend = active.loaded.backend
        limit = active.loaded.backend.limits.max_input_tokens if isinstance(active.loaded, LoadedGenerator) else 0
        return replace(
            status,
            backend=backend.name,
            compute_type=backend.compute_type,
            max_input_tokens=limit,
            memory_bytes=active.reservation.size,
        )

    def list_usable(self, task: Task) -> tuple[CatalogEntry, ...]:
        """The entries for this task that can be asked: fetched, and not FAILED, with the languages that they
        really have. The same tuple as long as nothing changes, so that what is made of it can be kept.

        Every request asks; a look at each of a catalogue's models costs more than the rest of a refusal."""
        seen_at, last = self._usable.get(task, (-math.inf, ()))
        if time.monotonic() - seen_at < min(MAX_AGE_SECONDS, self.retry_seconds):
            return last
        found = []
        for entry in self.catalog.entries:
            if entry.task is task:
                active = self._active.get(entry.name)
                local = active.local if active else self._local_models.get(entry.name)
                if active or self._idle_state(local) not in _UNUSABLE:
                    found.append(local.entry)
        if len(last) != len(found) or any(one is not other for one, other in zip(last, found, strict=True)):
            last = tuple(found)
        self._usable[task] = time.monotonic(), last
        return last

    def get_entry(self, name: str) -> CatalogEntry:
        """A model's entry with the languages that it really has. Raises `NotServed` when there is none."""
        active = self._active.get(name)
        return (active.local if active else self._local_models.get(name)).entry

    def scan_files(self) -> None:
        """Looks at every model's files, so that no request has to do it first. Call it before there are any."""
        for entry in self.catalog.entries:
            self._local_models.get(entry.name)

    def freeze_loaded(self) -> None:
        """Declares what is loaded now to stay; see `memory.freeze_objects`."""
        freeze_objects()
        for active in self._active.values():
            active.settled = True

    async def close(self) -> None:
        """Ends loads in work and closes every queue."""
        self._closing = True
        active_models = list(self._active.values())
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
            await active.reservation.wait()
        active = active or self._begin(name)
        self._budget.hold(active.reservation)
        try:
            yield await self._wait_for(active)
        finally:
            self._budget.release(active.reservation)
            if active.reservation.holders == 0 and not active.started:
                active.task.cancel()  # nobody waits any more, and nothing was done yet
                self._remove(active)

    async def _wait_for(self, active: _ActiveModel) -> Loaded:
        if active.loaded is not None and active.task.done():
            return active.loaded
        try:
            await asyncio.shield(active.task)
        except ModelError as error:
            raise NotServed(f"model {active.reservation.name} failed to load: {error}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closing and not (task and task.cancelling()):
                raise Unavailable("the server is shutting down") from None
            raise
        assert active.loaded is not None  # noqa: S101 (it is held)
        return active.loaded

    def _begin(self, name: str) -> _ActiveModel:
        """Starts to load a model. Raises `NotServed` where that is in vain."""
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
        active = _ActiveModel(local, MemoryReservation(name, size, least=least, pinned=entry.name in self._pinned))
        active.task = asyncio.get_running_loop().create_task(self._load(active))
        active.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # it was logged
        self._active[name] = active
        self._invalidate_usable()
        return active

    async def _load(self, active: _ActiveModel) -> None:
        """Loads a model; where it turns out larger than its files promised, and others are in use, it goes and
        asks for the room that it really needs."""
        name, started = active.reservation.name, time.monotonic()
        try:
            while not await self._try_to_load(active):
                active.started = False
                self._budget.free(active.reservation)
                if active.reservation.holders == 0:
                    self._remove(active)
                    return
        except _NOT_THE_MODELS:
            raise
        except BaseException as error:  # noqa: BLE001 (whatever a library raises; a panic in Rust is no Exception)
            expected = isinstance(error, ModelError)
            cause = str(error) if expected else f"{type(error).__name__} while it was loaded; the log has the cause"
            extra = {"model": name, "cause": cause}
            _log.error("model failed", exc_info=None if expected else error, extra=extra)
        else:
            _log.info("model ready", extra={"model": name, "seconds": round(time.monotonic() - started, 3)})
            self._announce(name)
            return
        # Out here nothing refers to the error any more, and so nothing to the frames that hold the model.
        self._failures[name] = _Failure(cause, time.monotonic(), active.local.stamp)
        await self._loader.release(active.local.entry)
        self._remove(active)
        self._announce(name)
        raise ModelError(cause)

    async def _try_to_load(self, active: _ActiveModel) -> bool:
        """Loads a model once there is room for it; False if there was too little."""
        reservation = active.reservation
        await self._budget.acquire(reservation)
        active.started = True
        self._budget.hold(reservation)
        try:
            backend = await self._loader.make(active.local)
            if self._budget.confirm(reservation, backend.memory_bytes):
                active.loaded = await self._loader.finish(active.local, backend)
                return True
            reservation.size = reservation.least = backend.memory_bytes
            del backend
            await self._loader.release(active.local.entry)
            return False
        finally:
            self._budget.release(reservation)

    def _evict(self, reservation: MemoryReservation) -> None:
        task = asyncio.get_running_loop().create_task(self._unload(self._active[reservation.name]))
        self._unloads.add(task)
        task.add_done_callback(self._unloads.discard)

    async def _unload(self, active: _ActiveModel) -> None:
        """Gives a model's memory back; nobody holds it any more."""
        await asyncio.gather(active.task, return_exceptions=True)
        if isinstance(active.loaded, LoadedGenerator):
            await active.loaded.queue.close()
        active.loaded = None
        await self._loader.release(active.local.entry, settled=active.settled)
        _log.info("model unloaded", extra={"model": active.reservation.name, "bytes": active.reservation.size})
        self._remove(active)
        self._announce(active.reservation.name)

    def _remove(self, active: _ActiveModel) -> None:
        if self._active.get(active.reservation.name) is active:
            del self._active[active.reservation.name]
            self._invalidate_usable()
        self._budget.free(active.reservation)

    def _idle_state(self, local: LocalModel) -> ModelState:
        """The state of a model that is not loaded."""
        if not local.fetched:
            return ModelState.NOT_FETCHED
        failure = self._failures.get(local.entry.name)
        recent = failure and failure.stamp == local.stamp and time.monotonic() - failure.at < self.retry_seconds
        return ModelState.FAILED if recent or local.error else ModelState.AVAILABLE

    def _invalidate_usable(self) -> None:
        self._usable = {task: (-math.inf, found) for task, (_, found) in self._usable.items()}

    def _announce(self, name: str) -> None:
        self._invalidate_usable()
        for on_change in self._on_change:
            on_change(name)


def _describe(local: LocalModel, state: ModelState, error: str = "") -> ModelStatus:
    return ModelStatus(local.entry, state, error, weights_sha256=local.weights_sha256)
