"""Which class of work goes first, and that the other one is not forgotten.

Knows the classes only.
"""

from __future__ import annotations

import enum
from collections.abc import Collection

# Where both wait, one batch in so many is bulk: bulk then has an eighth of the machine, and an interactive piece
# waits for one bulk batch at most in seven of its own.
BULK_EVERY = 8


class Priority(enum.IntEnum):
    """Which work goes first."""

    INTERACTIVE = 0
    BULK = 1


class PriorityPolicy:
    """Interactive before bulk, except that bulk has one turn in `every` while both wait."""

    def __init__(self, every: int = BULK_EVERY) -> None:
        self._every = every
        self._passed_over = 0  # interactive turns in a row that bulk waited through

    def choose(self, waiting: Collection[Priority]) -> Priority:
        """The class whose turn it is among those that wait, of which there must be one."""
        if Priority.BULK in waiting and self._passed_over >= self._every - 1:
            return Priority.BULK
        return min(waiting)

    def note(self, taken: Priority, waiting: Collection[Priority]) -> None:
        """Counts a turn that was taken; `waiting`: the classes that waited then, the one that took it among them."""
        if taken is Priority.BULK or Priority.BULK not in waiting:
            self._passed_over = 0
        else:
            self._passed_over += 1
