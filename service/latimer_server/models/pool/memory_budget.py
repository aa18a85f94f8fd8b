"""Who has room in memory and who waits for it: the least recently used makes way, and nobody in use is put out.

Counts bytes, holders and turns; knows nothing of what a model is. One event loop's, and without any `await`
but the waiting for room itself.
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
    """A model in memory, or on its way there.

    `size`: bytes, first as estimated, then as measured. `least`: what it takes at the least, where `size` is an
    estimate; only that much can refuse it before it was measured. `pinned`: makes way for nobody. `holders`: batches
    that use it now. `confirmed`: loaded and measured, so that it can be put out. `evict_requested`: told to go, by whoever
    runs the server. `unloading`: its memory is being given back.
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
        """Whether it takes no new holders: it goes as soon as those it has are done."""
        return self.evict_requested or self.unloading or self.evict_pending

    async def wait(self) -> None:
        """Waits until it may be open again, or is gone: look again then."""
        future = asyncio.get_running_loop().create_future()
        self._reopened.append(future)
        try:
            await future
        finally:
            self._reopened.remove(future)

    def wake(self) -> None:
        """Tells those who wait to look again."""
        for future in self._reopened:
            if not future.done():
                future.set_result(None)


class MemoryBudget:
    """Room for `max_bytes` bytes of models, None for any number. Tenants enter in the order in which they asked.

    `evict` is told, at once, of each tenant that has to leave, and calls `free` when its memory is free.
    """

    def __init__(self, max_bytes: int | None, evict: Callable[[MemoryReservation], None]) -> None:
        self.max_bytes = max_bytes
        self._evict = evict
        self._reservations: set[MemoryReservation] = set()
        self._waiting: deque[tuple[MemoryReservation, asyncio.Future[None]]] = deque()
        self._uses = 0

    @property
    def used(self) -> int:
        """Bytes taken or promised."""
        return sum(reservation.size for reservation in self._reservations)

    async def acquire(self, reservation: MemoryReservation) -> None:
        """Waits until there is room for the tenant. Raises `ModelError` when there never can be."""
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
        """Notes what a loaded tenant has been measured at. False when that is more than it was promised and there
        is no room for the rest: it has to leave and ask again."""
        grown = self.used + size - reservation.size
        if size > reservation.size and not self._may_hold(grown, reservation):
            return False
        reservation.size, reservation.least, reservation.confirmed = size, None, True
        self.rebalance()
        return True

    def free(self, reservation: MemoryReservation) -> None:
        """Notes that a tenant's memory is free."""
        self._reservations.discard(reservation)
        reservation.wake()
        self.rebalance()

    def hold(self, reservation: MemoryReservation) -> None:
        """Notes a holder."""
        self._uses += 1
        reservation.holders += 1
        reservation.last_used = self._uses

    def release(self, reservation: MemoryReservation) -> None:
        """Notes that a holder is done."""
        reservation.holders -= 1
        self.rebalance()

    def evict_when_idle(self, reservation: MemoryReservation) -> None:
        """Puts a tenant out as soon as nobody holds it."""
        reservation.evict_requested = True
        self.rebalance()

    def rebalance(self) -> None:
        """Lets in whom there is room for, and has others make way for who is next."""
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
        """Puts out as many as the newcomer needs, those used longest ago first: the idle at once, the others when
        they are done. Returns those."""
        assert self.max_bytes is not None  # noqa: S101 (else there is room for all)
        missing = self.used + newcomer.size - self.max_bytes
        missing -= sum(
            reservation.size
            for reservation in self._reservations
            if reservation.unloading or reservation.evict_requested
        )
        movable = [t for t in self._reservations if t.confirmed and not (t.pinned or t.unloading or t.evict_requested)]
        pending = set()
        for reservation in sorted(movable, key=lambda reservation: (reservation.holders > 0, reservation.last_used)):
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
        """Whether `total` bytes may be held, `reservation` among those who hold them. Those that are kept may pass the
        bound, if nobody else is there: somebody said that they must be loaded."""
        if self.max_bytes is None or total <= self.max_bytes:
            return True
        return reservation.pinned and all(other.pinned for other in self._reservations)

    def _bound_estimate(self, reservation: MemoryReservation) -> None:
        """Has an estimate ask for no more than there can be, so that it is the measure that refuses."""
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
        max_bytes = describe_bytes(self.max_bytes or 0)
        pinned = f", of which preloaded models take {describe_bytes(self._pinned_bytes)}" if self._pinned_bytes else ""
        return f"model {reservation.name} needs {describe_bytes(reservation.size)}; max_model_memory is {max_bytes}{pinned}"
