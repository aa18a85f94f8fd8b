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
from latimer_server.models.pool.gc_tuning import settle_memory
from latimer_server.models.pool.loaded_model import Loaded, LoadedGenerator, LoadedRanker, ModelState, ModelStatus
from latimer_server.models.pool.loading import Loader, MakeBackend
from latimer_server.models.pool.memory_budget import Room, Tenant
from latimer_server.models.segment_cache import SegmentCache
from latimer_server.models.store.local_models import FRESH_SECONDS, Holding, Inventory, Stamp
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
    stamp: Stamp


@dataclass(eq=False)
class _Slot:
    """A model that is loaded or on its way. `begun`: it has room, and its load goes on whoever leaves. `settled`:
    it was there when memory settled."""

    holding: Holding
    tenant: Tenant
    task: asyncio.Task[None] = field(init=False)
    loaded: Loaded | None = None
    begun: bool = False
    settled: bool = False

    @property
    def state(self) -> ModelState:
        if self.tenant.leaving or (self.loaded and self.tenant.is_closed):
            return ModelState.DRAINING
        return ModelState.READY if self.loaded else ModelState.LOADING


class Pool:
    """Loads models on demand. Make and use it inside one event loop.

    `executors` run batches, canaries among them. `max_memory`: bytes of all models together, None for any
    number. `kept`: names that make way for no other model. `cache`: where what they wrote is kept.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        make_backend: MakeBackend,
        executors: Executors,
        detector: LanguageDetector,
        device: str = "cpu",
        *,
        max_memory: int | None = None,
        kept: Sequence[str] = (),
        cache: SegmentCache | None = None,
    ) -> None:
        self.catalog = catalog
        # Where sentences are ranked.
        self.permits = executors.seat_small()
        self._loader = Loader(store, make_backend, executors, detector, device, cache)
        self._inventory = Inventory(catalog, store)
        self._room = Room(max_memory, self._put_out)
        self._kept = frozenset(kept)
        self._slots: dict[str, _Slot] = {}
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

    def require_time(self, name: str, deadline: float, caller: Hashable, *, cached: bool) -> None:
        """Raises `Overloaded` where an interactive request would wait in vain for a model, as far as that can be told
        before its text is looked at; `cached`: whether the cache may know it. Says nothing of a model that is not
        loaded."""
        loaded = slot.loaded if (slot := self._slots.get(name)) else None
        if isinstance(loaded, LoadedGenerator) and not (cached and loaded.cache):
            loaded.queue.require_time(deadline, Priority.INTERACTIVE, caller)

    async def unload(self, name: str) -> ModelStatus:
        """Unloads a model once its holders are done, and says how it was then. Whoever asks for it meanwhile
        waits, and then has it loaded again. Does nothing to one that is not loaded.

        Raises `NotServed` when there is none of this name. A caller that is cancelled does not stop it.
        """
        self.catalog.get(name)
        slot = self._slots.get(name)
        if slot is None:
            return self.describe(name)
        self._room.dismiss(slot.tenant)
        while self._slots.get(name) is slot:
            await slot.tenant.wait()
        holding = self._inventory.inspect(name)
        return _describe(holding, ModelState.AVAILABLE if holding.fetched else ModelState.NOT_FETCHED)

    def describe(self, name: str) -> ModelStatus:
        """The status of a model. Raises `NotServed` when there is none of this name."""
        slot = self._slots.get(name)
        if slot is None:
            holding = self._inventory.look(name)
            failure = self._failures.get(name)
            return _describe(holding, self._rest(holding), failure.cause if failure else holding.error)
        status = _describe(slot.holding, slot.state)
        if slot.loaded is None:
            return status
        backend = slot.loaded.backend
        limit = slot.loaded.backend.limits.max_input_tokens if isinstance(slot.loaded, LoadedGenerator) else 0
        return replace(
            status,
            backend=backend.name,
            compute_type=backend.compute_type,
            max_input_tokens=limit,
            memory_bytes=slot.tenant.size,
        )

    def usable(self, task: Task) -> tuple[CatalogEntry, ...]:
        """The entries for this task that can be asked: fetched, and not FAILED, with the languages that they
        really have. The same tuple as long as nothing changes, so that what is made of it can be kept.

        Every request asks; a look at each of a catalogue's models costs more than the rest of a refusal."""
        seen_at, last = self._usable.get(task, (-math.inf, ()))
        if time.monotonic() - seen_at < min(FRESH_SECONDS, RETRY_SECONDS):
            return last
        found = []
        for entry in self.catalog.entries:
            if entry.task is task:
                slot = self._slots.get(entry.name)
                holding = slot.holding if slot else self._inventory.look(entry.name)
                if slot or self._rest(holding) not in _UNUSABLE:
                    found.append(holding.entry)
        if len(last) != len(found) or any(one is not other for one, other in zip(last, found, strict=True)):
            last = tuple(found)
        self._usable[task] = time.monotonic(), last
        return last

    def get_entry(self, name: str) -> CatalogEntry:
        """A model's entry with the languages that it really has. Raises `NotServed` when there is none."""
        slot = self._slots.get(name)
        return (slot.holding if slot else self._inventory.look(name)).entry

    def take_stock(self) -> None:
        """Looks at every model's files, so that no request has to do it first. Call it before there are any."""
        for entry in self.catalog.entries:
            self._inventory.look(entry.name)

    def settle(self) -> None:
        """Declares what is loaded now to stay; see `memory.settle_memory`."""
        settle_memory()
        for slot in self._slots.values():
            slot.settled = True

    async def close(self) -> None:
        """Ends loads in work and closes every queue."""
        self._closing = True
        slots = list(self._slots.values())
        for slot in slots:
            slot.task.cancel()
        await asyncio.gather(*(slot.task for slot in slots), return_exceptions=True)
        for slot in slots:
            if isinstance(slot.loaded, LoadedGenerator):
                await slot.loaded.queue.close()
        await asyncio.gather(*self._unloads, return_exceptions=True)

    @asynccontextmanager
    async def _hold(self, name: str) -> AsyncIterator[Loaded]:
        while (slot := self._slots.get(name)) is not None and slot.tenant.is_closed:
            await slot.tenant.wait()
        slot = slot or self._begin(name)
        self._room.hold(slot.tenant)
        try:
            yield await self._wait_for(slot)
        finally:
            self._room.release(slot.tenant)
            if slot.tenant.holders == 0 and not slot.begun:
                slot.task.cancel()  # nobody waits any more, and nothing was done yet
                self._vacate(slot)

    async def _wait_for(self, slot: _Slot) -> Loaded:
        if slot.loaded is not None and slot.task.done():
            return slot.loaded
        try:
            await asyncio.shield(slot.task)
        except ModelError as error:
            raise NotServed(f"model {slot.tenant.name} failed to load: {error}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closing and not (task and task.cancelling()):
                raise Unavailable("the server is shutting down") from None
            raise
        assert slot.loaded is not None  # noqa: S101 (it is held)
        return slot.loaded

    def _begin(self, name: str) -> _Slot:
        """Starts to load a model. Raises `NotServed` where that is in vain."""
        if self._closing:
            raise Unavailable("the server is shutting down")
        entry = self.catalog.get(name)
        holding = self._inventory.inspect(name)
        match self._rest(holding):
            case ModelState.NOT_FETCHED:
                raise NotServed(f"model {name} is not fetched: run latimer-server models fetch {name}")
            case ModelState.FAILED:
                raise NotServed(f"model {name} failed to load: {self.describe(name).error}")
            case _:
                self._failures.pop(name, None)
        size, least = self._loader.foresee_size(holding)
        slot = _Slot(holding, Tenant(name, size, least=least, kept=entry.name in self._kept))
        slot.task = asyncio.get_running_loop().create_task(self._load(slot))
        slot.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # it was logged
        self._slots[name] = slot
        self._look_again()
        return slot

    async def _load(self, slot: _Slot) -> None:
        """Loads a model; where it turns out larger than its files promised, and others are in use, it goes and
        asks for the room that it really needs."""
        name, started = slot.tenant.name, time.monotonic()
        try:
            while not await self._try_to_load(slot):
                slot.begun = False
                self._room.leave(slot.tenant)
                if slot.tenant.holders == 0:
                    self._vacate(slot)
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
        self._failures[name] = _Failure(cause, time.monotonic(), slot.holding.stamp)
        await self._loader.release(slot.holding.entry)
        self._vacate(slot)
        self._announce(name)
        raise ModelError(cause)

    async def _try_to_load(self, slot: _Slot) -> bool:
        """Loads a model once there is room for it; False if there was too little."""
        tenant = slot.tenant
        await self._room.enter(tenant)
        slot.begun = True
        self._room.hold(tenant)
        try:
            backend = await self._loader.make(slot.holding)
            if self._room.settle(tenant, backend.memory_bytes):
                slot.loaded = await self._loader.finish(slot.holding, backend)
                return True
            tenant.size = tenant.least = backend.memory_bytes
            del backend
            await self._loader.release(slot.holding.entry)
            return False
        finally:
            self._room.release(tenant)

    def _put_out(self, tenant: Tenant) -> None:
        task = asyncio.get_running_loop().create_task(self._unload(self._slots[tenant.name]))
        self._unloads.add(task)
        task.add_done_callback(self._unloads.discard)

    async def _unload(self, slot: _Slot) -> None:
        """Gives a model's memory back; nobody holds it any more."""
        await asyncio.gather(slot.task, return_exceptions=True)
        if isinstance(slot.loaded, LoadedGenerator):
            await slot.loaded.queue.close()
        slot.loaded = None
        await self._loader.release(slot.holding.entry, settled=slot.settled)
        _log.info("model unloaded", extra={"model": slot.tenant.name, "bytes": slot.tenant.size})
        self._vacate(slot)
        self._announce(slot.tenant.name)

    def _vacate(self, slot: _Slot) -> None:
        if self._slots.get(slot.tenant.name) is slot:
            del self._slots[slot.tenant.name]
            self._look_again()
        self._room.leave(slot.tenant)

    def _rest(self, holding: Holding) -> ModelState:
        """The state of a model that is not loaded."""
        if not holding.fetched:
            return ModelState.NOT_FETCHED
        failure = self._failures.get(holding.entry.name)
        recent = failure and failure.stamp == holding.stamp and time.monotonic() - failure.at < RETRY_SECONDS
        return ModelState.FAILED if recent or holding.error else ModelState.AVAILABLE

    def _look_again(self) -> None:
        self._usable = {task: (-math.inf, found) for task, (_, found) in self._usable.items()}

    def _announce(self, name: str) -> None:
        self._look_again()
        for on_change in self._on_change:
            on_change(name)


def _describe(holding: Holding, state: ModelState, error: str = "") -> ModelStatus:
    return ModelStatus(holding.entry, state, error, weights_sha256=holding.weights_sha256)
