"""Core permits: one set of permits for the cores, shared by all models, so that busy models do not share a core."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from latimer_server.scheduling.priority import Priority, PriorityPolicy, always_interactive


@dataclass(eq=False)
class _Waiter:
    cores: int
    generation: bool
    priority: Callable[[], Priority]
    future: asyncio.Future[int] = field(repr=False)


class CorePermits:
    """Permits for `cores` cores. Waiters are served by priority, then in order of arrival.

    No waiter overtakes a batch that waits for several cores; otherwise that batch would starve.

    Generation (summaries) holds its cores for seconds. It gets at most half of the cores and never the last one, so a
    translation that asks for every core runs on the remaining ones. On a machine with one core, generation does not
    count against translation, and the operating system shares the core.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.generation_cores = max(1, cores // 2)
        self._generating = 0
        self._translating = 0
        self._unclaimed = 0  # permits granted to waiters that have not resumed yet
        self._waiters: list[_Waiter] = []
        self._policy = PriorityPolicy()
        self._core_seconds = 0.0  # of permits until `_counted_at`
        self._counted_at = time.monotonic()

    @property
    def used(self) -> int:
        """The number of permits that are granted."""
        return self._generating + self._translating

    @property
    def spare(self) -> int:
        """The number of cores on which new batches could start now.

        Includes permits that are granted to a waiter that has not resumed yet.
        """
        return max(0, self.cores - self.used) + self._unclaimed

    @property
    def core_seconds(self) -> float:
        """The seconds that permits have been held so far, summed over the cores. May be read from any thread."""
        return self._core_seconds + self.used * (time.monotonic() - self._counted_at)

    @property
    def has_waiters(self) -> bool:
        """True if work waits for permits."""
        return bool(self._waiters)

    async def acquire(
        self, cores: int, *, generation: bool = False, priority: Callable[[], Priority] = always_interactive
    ) -> int:
        """Waits for permits for `cores` cores and returns the number granted.

        The number is lower than `cores` if generation's share is smaller, or if generation leaves fewer cores to
        translation. `priority` is called each time permits can be granted, so that it gives the class of the work that
        waits at that moment.
        """
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
        """Gives back permits for `cores` cores, the number that `acquire` returned; `generation` must be as there."""
        self._count_seconds()
        if generation:
            self._generating -= cores
        else:
            self._translating -= cores
        self._grant()

    def _grant(self) -> None:
        while True:
            # Generation beyond its share waits for other generation only, so it must not block other waiters.
            eligible = [
                waiter
                for waiter in self._waiters
                if not waiter.future.done() and (not waiter.generation or self._may_generate(waiter))
            ]
            if not eligible:
                return
            priorities = {id(waiter): waiter.priority() for waiter in eligible}
            waiting = set(priorities.values())
            chosen = self._policy.choose(waiting)
            waiter = next(waiter for waiter in eligible if priorities[id(waiter)] is chosen)
            cores = self._count(waiter)
            if not self._fits(waiter, cores):
                return
            self._policy.note(chosen, waiting)
            self._waiters.remove(waiter)
            self._count_seconds()
            if waiter.generation:
                self._generating += cores
            else:
                self._translating += cores
            self._unclaimed += cores
            waiter.future.set_result(cores)

    def _count_seconds(self) -> None:
        """Adds the time since the number of granted permits changed."""
        now = time.monotonic()
        self._core_seconds += self.used * (now - self._counted_at)
        self._counted_at = now

    def _may_generate(self, waiter: _Waiter) -> bool:
        return self._generating + min(waiter.cores, self.generation_cores) <= self.generation_cores

    def _count(self, waiter: _Waiter) -> int:
        return min(waiter.cores, self.generation_cores if waiter.generation else self._translation_cores)

    def _fits(self, waiter: _Waiter, cores: int) -> bool:
        if waiter.generation:
            return self.cores == 1 or self.used + cores <= self.cores
        return self._translating + cores <= self._translation_cores

    @property
    def _translation_cores(self) -> int:
        """Cores that generation leaves to translation; at least 1."""
        return max(1, self.cores - self._generating)
