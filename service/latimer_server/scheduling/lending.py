"""Lending: long batches give back their permits while they run, so that others can use the cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass

from latimer_server.scheduling.priority import Priority


@dataclass(frozen=True)
class Lending:
    """What the owner of a batch is asked while the batch runs.

    `is_wanted`: returns True if other work of the owner waits for the permits. `note`: called when they are lent.
    `yields`: returns True if the batch is bulk work that lends as soon as interactive work waits, of which
    `is_urgent` returns True if the owner has any.
    """

    is_wanted: Callable[[], bool]
    note: Callable[[], None]
    yields: Callable[[], bool] = lambda: False
    is_urgent: Callable[[], bool] = lambda: False


class LentBatches:
    """The batches of one queue that run without permits. `count`: how many there are.

    A caller with such a batch gets no further one until it ends. Otherwise its long batches would take the lent permits
    one after another. Interactive pieces are held back by interactive batches only. `only_blocked_wait`: True if the
    queue found pieces of such callers only; until another piece is submitted or such a batch ends, a worker would find
    nothing.
    """

    def __init__(self) -> None:
        self.count = 0
        self.only_blocked_wait = False
        self._callers: dict[Priority, Counter[Hashable]] = {priority: Counter() for priority in Priority}

    def find_blocked(self, priority: Priority) -> Collection[Hashable]:
        """Returns the callers that get no batch of this priority."""
        interactive = self._callers[Priority.INTERACTIVE].keys()
        return interactive if priority is Priority.INTERACTIVE else interactive | self._callers[Priority.BULK].keys()

    def add(self, callers: Iterable[Hashable], priority: Priority) -> None:
        """Adds a batch of these callers."""
        self.count += 1
        self._callers[priority].update(callers)

    def remove(self, callers: Iterable[Hashable], priority: Priority) -> None:
        """Removes a batch of these callers, which has ended."""
        self.count -= 1
        self._callers[priority] -= Counter(callers)
        self.only_blocked_wait = False
