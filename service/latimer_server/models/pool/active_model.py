"""A model in the pool between the start of its load and the end of its unload, and the failure of a load."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from latimer_server.models.pool.loaded_model import Loaded, LoadedGenerator, ModelState, ModelStatus
from latimer_server.models.pool.memory_budget import MemoryReservation
from latimer_server.models.store.local_models import FolderStamp, LocalModel
from latimer_server.scheduling import ComputeSlot


@dataclass(frozen=True)
class LoadFailure:
    """A failed load: its cause, its time (monotonic seconds) and the stamp of the model's files at that time."""

    cause: str
    at: float
    stamp: FolderStamp


@dataclass(eq=False)
class ActiveModel:
    """A model that is loaded, loading or queued for memory.

    `started`: memory is reserved, and the load continues even if every caller is cancelled. `frozen`: the model's
    objects are exempt from garbage collection, see `ModelPool.freeze_loaded`. `slot`: where its batches run, from the
    canary on.
    """

    local: LocalModel
    reservation: MemoryReservation
    task: asyncio.Task[None] = field(init=False)
    loaded: Loaded | None = None
    slot: ComputeSlot | None = None
    started: bool = False
    frozen: bool = False

    @property
    def state(self) -> ModelState:
        """The state of the model: LOADING, READY or DRAINING."""
        if self.reservation.unloading or (self.loaded and self.reservation.is_closed):
            return ModelState.DRAINING
        return ModelState.READY if self.loaded else ModelState.LOADING

    def describe(self) -> ModelStatus:
        """Returns the status of the model, with the facts that only its backend has once it is loaded."""
        status = describe_idle(self.local, self.state)
        if self.loaded is None:
            return status
        backend = self.loaded.backend
        generator = self.loaded if isinstance(self.loaded, LoadedGenerator) else None
        return replace(
            status,
            backend=backend.name,
            compute_type=backend.compute_type,
            max_input_tokens=generator.backend.limits.max_input_tokens if generator else 0,
            memory_bytes=self.reservation.size,
            waiting=generator.queue.waiting if generator else 0,
        )


def describe_idle(local: LocalModel, state: ModelState, error: str = "") -> ModelStatus:
    """Returns the status of a model as far as its files tell. `error`: the cause of a failed load."""
    return ModelStatus(local.entry, state, error, weights_sha256=local.weights_sha256)
