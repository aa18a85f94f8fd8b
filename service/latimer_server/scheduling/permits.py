"""One set of permits for the cores, over all models: two busy models do not take each other's cores.

Counts cores and who waits for them; knows no threads and no models.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from latimer_server.scheduling.priority import Priority, PriorityPolicy


def _interactive() -> Priority:
    return Priority.INTERACTIVE


@dataclass(eq=False)
class _Waiter:
    cores: int
    generation: bool
    priority: Callable[[], Priority]
    future: asyncio.Future[int] = field(repr=False)


class CorePermits:
    """Permits for `cores` cores. Whoever waits is let in by precedence, then in the order of coming; nobody
    overtakes a batch that waits for several cores, or it would starve.

    Generation (summaries) holds a core for seconds. It gets half of the cores at most, and never the last one: a
    translation meant for every core then runs on those that are left. Where there is one core only, generation
    runs beside the permits and the system shares the core out.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.generation_cores = max(1, cores // 2)
        self._generating = 0
        self._translating = 0
        self._unclaimed = 0  # given to waiters that have not come back for them yet
        self._waiters: list[_Waiter] = []
        self._policy = PriorityPolicy()

    @property
    def used(self) -> int:
        """Permits that are out."""
        return self._generating + self._translating

    @property
    def spare(self) -> int:
        """Cores that work could begin on now."""
        return max(0, self.cores - self.used) + self._unclaimed

    async def acquire(
        self, cores: int, *, generation: bool = False, priority: Callable[[], Priority] = _interactive
    ) -> int:
        """Waits for permits for `cores` cores and says how many it took: fewer where there are no more to have.
        `priority` is asked when there is something to give, so that it is that of what waits then."""
        waiter = _Waiter(cores, generation, priority, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._grant()
        if waiter.future.done():
            self._unclaimed -= waiter.future.result()
            return waiter.future.result()
        try:
            granted = await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                self._unclaimed -= waiter.future.result()
                self.release(waiter.future.result(), generation=generation)
            else:
                self._waiters.remove(waiter)
                self._grant()
            raise
        self._unclaimed -= granted
        return granted

    def release(self, cores: int, *, generation: bool = False) -> None:
        """Gives permits back."""
        if generation:
            self._generating -= cores
        else:
            self._translating -= cores
        self._grant()

    def _grant(self) -> None:
        while True:
            # Summaries beyond their share wait for each other and hold nobody else up.
            able = [
                waiter
                for waiter in self._waiters
                if not waiter.future.done() and (not waiter.generation or self._may_generate(waiter))
            ]
            if not able:
                return
            wanted = {id(waiter): waiter.priority() for waiter in able}
            waiting = set(wanted.values())
            chosen = self._policy.choose(waiting)
            waiter = next(waiter for waiter in able if wanted[id(waiter)] is chosen)
            cores = self._count(waiter)
            if not self._fits(waiter, cores):
                return
            self._policy.note(chosen, waiting)
            self._waiters.remove(waiter)
            if waiter.generation:
                self._generating += cores
            else:
                self._translating += cores
            self._unclaimed += cores
            waiter.future.set_result(cores)

    def _may_generate(self, waiter: _Waiter) -> bool:
        return self._generating + min(waiter.cores, self.generation_cores) <= self.generation_cores

    def _count(self, waiter: _Waiter) -> int:
        return min(waiter.cores, self.generation_cores if waiter.generation else self._left)

    def _fits(self, waiter: _Waiter, cores: int) -> bool:
        if waiter.generation:
            return self.cores == 1 or self.used + cores <= self.cores
        return self._translating + cores <= self._left

    @property
    def _left(self) -> int:
        """Cores that generation leaves."""
        return max(1, self.cores - self._generating)
