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
class Tenant:
    """A model in memory, or on its way there.

    `size`: bytes, first as estimated, then as measured. `least`: what it takes at the least, where `size` is an
    estimate; only that much can refuse it before it was measured. `kept`: makes way for nobody. `holders`: batches
    that use it now. `settled`: loaded and measured, so that it can be put out. `dismissed`: told to go, by whoever
    runs the server. `leaving`: its memory is being given back.
    """

    name: str
    size: int
    least: int | None = None
    kept: bool = False
    holders: int = 0
    settled: bool = False
    dismissed: bool = False
    leaving: bool = False
    makes_way: bool = False
    last_used: int = 0
    _reopened: list[asyncio.Future[None]] = field(default_factory=list, repr=False)

    @property
    def is_closed(self) -> bool:
        """Whether it takes no new holders: it goes as soon as those it has are done."""
        return self.dismissed or self.leaving or self.makes_way

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


class Room:
    """Room for `most` bytes of models, None for any number. Tenants enter in the order in which they asked.

    `put_out` is told, at once, of each tenant that has to leave, and calls `leave` when its memory is free.
    """

    def __init__(self, most: int | None, put_out: Callable[[Tenant], None]) -> None:
        self.most = most
        self._put_out = put_out
        self._tenants: set[Tenant] = set()
        self._waiting: deque[tuple[Tenant, asyncio.Future[None]]] = deque()
        self._uses = 0

    @property
    def used(self) -> int:
        """Bytes taken or promised."""
        return sum(tenant.size for tenant in self._tenants)

    async def enter(self, tenant: Tenant) -> None:
        """Waits until there is room for the tenant. Raises `ModelError` when there never can be."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((tenant, future))
        self.arrange()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self._tenants.discard(tenant)
            self._waiting = deque(pair for pair in self._waiting if pair[0] is not tenant)
            self.arrange()
            raise

    def settle(self, tenant: Tenant, size: int) -> bool:
        """Notes what a loaded tenant has been measured at. False when that is more than it was promised and there
        is no room for the rest: it has to leave and ask again."""
        grown = self.used + size - tenant.size
        if size > tenant.size and not self._may_hold(grown, tenant):
            return False
        tenant.size, tenant.least, tenant.settled = size, None, True
        self.arrange()
        return True

    def leave(self, tenant: Tenant) -> None:
        """Notes that a tenant's memory is free."""
        self._tenants.discard(tenant)
        tenant.wake()
        self.arrange()

    def hold(self, tenant: Tenant) -> None:
        """Notes a holder."""
        self._uses += 1
        tenant.holders += 1
        tenant.last_used = self._uses

    def release(self, tenant: Tenant) -> None:
        """Notes that a holder is done."""
        tenant.holders -= 1
        self.arrange()

    def dismiss(self, tenant: Tenant) -> None:
        """Puts a tenant out as soon as nobody holds it."""
        tenant.dismissed = True
        self.arrange()

    def arrange(self) -> None:
        """Lets in whom there is room for, and has others make way for who is next."""
        for tenant in [tenant for tenant in self._tenants if tenant.dismissed]:
            self._put_out_if_idle(tenant)
        making_way: set[Tenant] = set()
        while self._waiting:
            tenant, future = self._waiting[0]
            self._bound_estimate(tenant)
            if future.done():
                self._waiting.popleft()
            elif self._may_hold(self.used + tenant.size, tenant):
                self._waiting.popleft()
                self._tenants.add(tenant)
                future.set_result(None)
            elif not self._can_ever_hold(tenant):
                self._waiting.popleft()
                future.set_exception(ModelError(self._explain(tenant)))
            else:
                making_way = self._make_way(tenant)
                break
        for tenant in self._tenants:
            reopened = tenant.makes_way and tenant not in making_way
            tenant.makes_way = tenant in making_way
            if reopened:
                tenant.wake()

    def _make_way(self, newcomer: Tenant) -> set[Tenant]:
        """Puts out as many as the newcomer needs, those used longest ago first: the idle at once, the others when
        they are done. Returns those."""
        assert self.most is not None  # noqa: S101 (else there is room for all)
        missing = self.used + newcomer.size - self.most
        missing -= sum(tenant.size for tenant in self._tenants if tenant.leaving or tenant.dismissed)
        movable = [t for t in self._tenants if t.settled and not (t.kept or t.leaving or t.dismissed)]
        making_way = set()
        for tenant in sorted(movable, key=lambda tenant: (tenant.holders > 0, tenant.last_used)):
            if missing <= 0:
                break
            missing -= tenant.size
            if not self._put_out_if_idle(tenant):
                making_way.add(tenant)
        return making_way

    def _put_out_if_idle(self, tenant: Tenant) -> bool:
        if tenant.holders or not tenant.settled or tenant.leaving:
            return False
        tenant.leaving = True
        self._put_out(tenant)
        return True

    def _may_hold(self, total: int, tenant: Tenant) -> bool:
        """Whether `total` bytes may be held, `tenant` among those who hold them. Those that are kept may pass the
        bound, if nobody else is there: somebody said that they must be loaded."""
        if self.most is None or total <= self.most:
            return True
        return tenant.kept and all(other.kept for other in self._tenants)

    def _bound_estimate(self, tenant: Tenant) -> None:
        """Has an estimate ask for no more than there can be, so that it is the measure that refuses."""
        if self.most is not None and tenant.least is not None and not tenant.kept:
            tenant.size = min(tenant.size, max(tenant.least, self.most - self._kept))

    def _can_ever_hold(self, tenant: Tenant) -> bool:
        return self.most is None or tenant.kept or tenant.size + self._kept <= self.most

    @property
    def _kept(self) -> int:
        return sum(tenant.size for tenant in self._tenants if tenant.kept and not tenant.dismissed)

    def _explain(self, tenant: Tenant) -> str:
        most = describe_bytes(self.most or 0)
        kept = f", of which preloaded models take {describe_bytes(self._kept)}" if self._kept else ""
        return f"model {tenant.name} needs {describe_bytes(tenant.size)}; max_model_memory is {most}{kept}"
