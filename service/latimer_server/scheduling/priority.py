"""Priority classes: interactive work runs before bulk work, but bulk work gets a guaranteed share."""

from __future__ import annotations

import enum
from collections.abc import Collection

# While both classes wait, one batch in eight is bulk. Bulk then gets an eighth of the machine, and an interactive piece
# waits for at most one bulk batch in seven batches of its own class.
BULK_EVERY = 8


class Priority(enum.IntEnum):
    """The class of a piece. Lower values run first."""

    INTERACTIVE = 0
    BULK = 1


def always_interactive() -> Priority:
    """Returns INTERACTIVE: the priority of work that is in no queue."""
    return Priority.INTERACTIVE


class PriorityPolicy:
    """A rule that picks interactive before bulk, except for one bulk turn in `every` while both classes wait."""

    def __init__(self, every: int = BULK_EVERY) -> None:
        self._every = every
        self._passed_over = 0  # consecutive interactive turns while bulk was waiting

    def choose(self, waiting: Collection[Priority]) -> Priority:
        """Returns the class that gets the next turn. `waiting` must not be empty."""
        if Priority.BULK in waiting and self._passed_over >= self._every - 1:
            return Priority.BULK
        return min(waiting)

    def note(self, taken: Priority, waiting: Collection[Priority]) -> None:
        """Counts a turn of class `taken`. `waiting` holds the classes that waited then, `taken` included."""
        if taken is Priority.BULK or Priority.BULK not in waiting:
            self._passed_over = 0
        else:
            self._passed_over += 1
