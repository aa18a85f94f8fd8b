"""Lending: long batches give back their permits while they run, so that others can use the cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass

from latimer_server.scheduling.preemption import PreemptibleBatch


@dataclass(frozen=True)
class Lending:
    """What the owner of a batch is asked while the batch runs.

    `is_wanted`: returns True if other work of the owner waits for the permits. `note`: called when they are lent.
    `get_preemptible`: returns the batch if interactive batches may preempt it.
    """

    is_wanted: Callable[[], bool]
    note: Callable[[], None]
    get_preemptible: Callable[[], PreemptibleBatch | None] = lambda: None


class LentBatches:
    """The batches of one queue that run without permits. `count`: how many there are.

    A caller with such a batch gets no further one until it ends. Otherwise its long batches would take the lent permits
    one after another. `only_blocked_wait`: True if the queue found pieces of such callers only; until another piece is
    submitted or such a batch ends, a worker would find nothing. `only_blocked_interactive_wait`: the same for its
    interactive pieces.
    """

    def __init__(self) -> None:
        self.count = 0
        self.only_blocked_wait = False
        self.only_blocked_interactive_wait = False
        self._callers: Counter[Hashable] = Counter()

    @property
    def blocked(self) -> Collection[Hashable]:
        """The callers of these batches."""
        return self._callers.keys()

    def add(self, callers: Iterable[Hashable]) -> None:
        """Adds a batch of these callers."""
        self.count += 1
        self._callers.update(callers)

    def remove(self, callers: Iterable[Hashable]) -> None:
        """Removes a batch of these callers, which has ended."""
        self.count -= 1
        self._callers -= Counter(callers)
        self.note_change()

    def note_change(self) -> None:
        """Notes that a worker may find pieces again."""
        self.only_blocked_wait = self.only_blocked_interactive_wait = False
