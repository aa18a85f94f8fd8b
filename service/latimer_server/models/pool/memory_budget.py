"""Memory budget: decides which models may be in memory and which are evicted to make room.

It evicts the least recently used models first and never one that is in use. All methods must run in one event loop.
Only `acquire` and `MemoryReservation.wait` suspend, so no other task sees the counts half changed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from latimer_server.core.errors import ModelError
from latimer_server.models.pool.gc_tuning import describe_bytes


@dataclass(eq=False)
class MemoryReservation:
    """The memory of one model that is loaded, loading or queued for room.

    `size`: bytes, estimated until the model is loaded and then measured.
    `least`: a lower bound of the bytes while `size` is an estimate, None once the loaded model was measured. Before the
    measurement a model is refused only if this lower bound does not fit.
    `pinned`: the model is never evicted to make room.
    `holders`: how many callers use the model now.
    `confirmed`: the model is loaded and measured, so it can be evicted.
    `evict_requested`: an operator asked for it to be unloaded, which happens as soon as its holders are done.
    `evict_pending`: it must make room for a queued model as soon as its holders are done.
    `unloading`: its memory is being freed.
    `last_used`: the number of the latest use; the lowest number is the least recently used.
    """

    name: str
    size: int
    least: int | None = None
    pinned: bool = False
    holders: int = 0
    confirmed: bool = False
    evict_requested: bool = False
    unloading: bool = False
    evict_pending: bool = False
    last_used: int = 0
    _reopened: list[asyncio.Future[None]] = field(default_factory=list, repr=False)

    @property
    def is_closed(self) -> bool:
        """True if the model accepts no new holders because it is about to be unloaded."""
        return self.evict_requested or self.unloading or self.evict_pending

    async def wait(self) -> None:
        """Waits until the model accepts holders again or is unloaded. The caller must check which it is."""
        future = asyncio.get_running_loop().create_future()
        self._reopened.append(future)
        try:
            await future
        finally:
            self._reopened.remove(future)

    def wake(self) -> None:
        """Ends every `wait`."""
        for future in self._reopened:
            if not future.done():
                future.set_result(None)


class MemoryBudget:
    """A bound of `max_bytes` bytes on all loaded models together; None is unbounded.

    Models that do not fit wait in a queue, first come, first served. `evict` is called for each model without holders
    that must be unloaded. It must return at once, and the unloading must call `free` when the memory is free.
    """

    def __init__(self, max_bytes: int | None, evict: Callable[[MemoryReservation], None]) -> None:
        self.max_bytes = max_bytes
        self._evict = evict
        self._reservations: set[MemoryReservation] = set()
        self._waiting: deque[tuple[MemoryReservation, asyncio.Future[None]]] = deque()
        self._uses = 0

    @property
    def used(self) -> int:
        """The bytes reserved by loaded and loading models."""
        return sum(reservation.size for reservation in self._reservations)

    async def acquire(self, reservation: MemoryReservation) -> None:
        """Waits until there is room for the model and reserves it. Raises `ModelError` if it can never fit."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((reservation, future))
        self.rebalance()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self._reservations.discard(reservation)
            self._waiting = deque(pair for pair in self._waiting if pair[0] is not reservation)
            self.rebalance()
            raise

    def confirm(self, reservation: MemoryReservation, size: int) -> bool:
        """Records the measured bytes of a loaded model.

        Returns False if it is larger than reserved and the rest does not fit. The caller must then unload the model
        and acquire the larger size.
        """
        grown = self.used + size - reservation.size
        if size > reservation.size and not self._may_hold(grown, reservation):
            return False
        reservation.size, reservation.least, reservation.confirmed = size, None, True
        self.rebalance()
        return True

    def free(self, reservation: MemoryReservation) -> None:
        """Ends the reservation of a model that is unloaded, or that was never loaded, and admits queued models."""
        self._reservations.discard(reservation)
        reservation.wake()
        self.rebalance()

    def hold(self, reservation: MemoryReservation) -> None:
        """Counts one more caller that uses the model. A model with holders is not evicted."""
        self._uses += 1
        reservation.holders += 1
        reservation.last_used = self._uses

    def release(self, reservation: MemoryReservation) -> None:
        """Counts one caller less. If it was the last and the model must be unloaded, evicts the model."""
        reservation.holders -= 1
        self.rebalance()

    def evict_when_idle(self, reservation: MemoryReservation) -> None:
        """Evicts a model now or as soon as it has no holders. Until then it accepts no new ones."""
        reservation.evict_requested = True
        self.rebalance()

    def rebalance(self) -> None:
        """Evicts models on request, admits queued models while there is room, and makes room for the next one.

        Must run after every change of a reservation. A queued model that can never fit gets a `ModelError`.
        """
        for reservation in [reservation for reservation in self._reservations if reservation.evict_requested]:
            self._evict_if_idle(reservation)
        pending: set[MemoryReservation] = set()
        while self._waiting:
            reservation, future = self._waiting[0]
            self._bound_estimate(reservation)
            if future.done():
                self._waiting.popleft()
            elif self._may_hold(self.used + reservation.size, reservation):
                self._waiting.popleft()
                self._reservations.add(reservation)
                future.set_result(None)
            elif not self._can_ever_hold(reservation):
                self._waiting.popleft()
                future.set_exception(ModelError(self._explain(reservation)))
            else:
                pending = self._select_evictions(reservation)
                break
        for reservation in self._reservations:
            reopened = reservation.evict_pending and reservation not in pending
            reservation.evict_pending = reservation in pending
            if reopened:
                reservation.wake()

    def _select_evictions(self, newcomer: MemoryReservation) -> set[MemoryReservation]:
        """Evicts models without holders until the newcomer fits, the least recently used first.

        If those are not enough, returns the models in use that must also be evicted once their holders are done.
        """
        assert self.max_bytes is not None  # noqa: S101 (an unbounded budget evicts nothing)
        missing = self.used + newcomer.size - self.max_bytes
        missing -= sum(
            reservation.size
            for reservation in self._reservations
            if reservation.unloading or reservation.evict_requested
        )
        evictable = [
            reservation
            for reservation in self._reservations
            if reservation.confirmed
            and not (reservation.pinned or reservation.unloading or reservation.evict_requested)
        ]
        pending = set()
        for reservation in sorted(evictable, key=lambda reservation: (reservation.holders > 0, reservation.last_used)):
            if missing <= 0:
                break
            missing -= reservation.size
            if not self._evict_if_idle(reservation):
                pending.add(reservation)
        return pending

    def _evict_if_idle(self, reservation: MemoryReservation) -> bool:
        if reservation.holders or not reservation.confirmed or reservation.unloading:
            return False
        reservation.unloading = True
        self._evict(reservation)
        return True

    def _may_hold(self, total: int, reservation: MemoryReservation) -> bool:
        """Returns True if `total` bytes, those of `reservation` included, are within the budget.

        A pinned model may exceed it while all models with reserved memory are pinned, because the operator wants them.
        """
        if self.max_bytes is None or total <= self.max_bytes:
            return True
        return reservation.pinned and all(other.pinned for other in self._reservations)

    def _bound_estimate(self, reservation: MemoryReservation) -> None:
        """Lowers the estimated size of a model to the room beside pinned models, but not below its lower bound.

        A model is thus loaded and measured instead of being refused for a high estimate.
        """
        if self.max_bytes is not None and reservation.least is not None and not reservation.pinned:
            reservation.size = min(reservation.size, max(reservation.least, self.max_bytes - self._pinned_bytes))

    def _can_ever_hold(self, reservation: MemoryReservation) -> bool:
        return self.max_bytes is None or reservation.pinned or reservation.size + self._pinned_bytes <= self.max_bytes

    @property
    def _pinned_bytes(self) -> int:
        return sum(
            reservation.size
            for reservation in self._reservations
            if reservation.pinned and not reservation.evict_requested
        )

    def _explain(self, reservation: MemoryReservation) -> str:
        needed, limit = describe_bytes(reservation.size), describe_bytes(self.max_bytes or 0)
        pinned = f", of which preloaded models take {describe_bytes(self._pinned_bytes)}" if self._pinned_bytes else ""
        return f"model {reservation.name} needs {needed}; max_model_memory is {limit}{pinned}"
