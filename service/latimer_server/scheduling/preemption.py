"""Preemption: a running bulk batch lets interactive batches use its thread between two of its steps.

A batch cannot be stopped from outside, but its backend polls `cancelled` every few steps. Each poll is a preemption
point: an interactive batch that was handed over runs inside it, in the thread and with the permits of the bulk batch,
which goes on afterwards. So no more batches compute than there are cores, no thread has to wake up, and the caches of
the core keep the weights of the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from latimer_server.scheduling.priority import BULK_EVERY

if TYPE_CHECKING:
    from latimer_server.scheduling.lending import Lending


class PreemptibleBatch:
    """A running bulk batch that can be preempted. `clock` returns seconds.

    The event loop hands work over; the thread of the batch calls `reach_point` and `end`. `note_change` is called in
    both threads when `seconds_to_pause` has changed. `paused_seconds`: how long the batch has waited for such work.
    """

    def __init__(self, clock: Callable[[], float], note_change: Callable[[], None] = lambda: None) -> None:
        self.paused_seconds = 0.0
        self._clock = clock
        self._note_change = note_change
        self._lock = Lock()
        self._work: Callable[[], None] | None = None
        self._next_pause = 0.0
        self._has_ended = False

    @property
    def seconds_to_pause(self) -> float:
        """The seconds until the batch must reach a preemption point; infinite if it holds no work."""
        return math.inf if self._work is None else max(0.0, self._next_pause - self._clock())

    def offer(self, work: Callable[[], None]) -> bool:
        """Hands over work for the next preemption point. Returns False if the batch has ended.

        `work` must not raise. The batch holds at most one work.
        """
        with self._lock:
            if self._has_ended:
                return False
            self._work = work
        self._note_change()
        return True

    def reach_point(self) -> None:
        """Runs the work that was handed over, if any.

        After each pause the batch computes for a seventh of its length first, so that it keeps an eighth of its core,
        which is the share of bulk work.
        """
        if self._work is None:
            return
        if self._clock() >= self._next_pause:
            self._run_work()
        self._note_change()

    def end(self) -> None:
        """Accepts no more work, and runs what was handed over after the last preemption point."""
        with self._lock:
            self._has_ended = True
        if self._work is not None:
            self._run_work()
        self._note_change = _ignore  # or the batch would refer to its owner

    def _run_work(self) -> None:
        work, self._work = self._work, None
        began = self._clock()
        if work is not None:
            work()
        ended = self._clock()
        self.paused_seconds += ended - began
        self._next_pause = ended + (ended - began) / (BULK_EVERY - 1)


def _ignore() -> None:
    """Does nothing."""


@dataclass(frozen=True, eq=False)
class InnerWork:
    """Work that a preemptible batch was given. `began`: when, in seconds of the event loop."""

    lending: Lending | None
    began: float


class PreemptibleBatches:
    """The preemptible batches of all models that run now. Belongs to the event loop.

    A batch is free unless it was taken for an interactive batch, which ends with `give_back`.
    """

    def __init__(self) -> None:
        self._free: list[PreemptibleBatch] = []
        self._taken: dict[PreemptibleBatch, InnerWork | None] = {}
        self._listeners: list[Callable[[], None]] = []

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Calls `listener` whenever a batch becomes free, until it is removed."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Ends the calls of a listener. A further call has no effect, since a queue may be closed twice."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def add(self, batch: PreemptibleBatch) -> None:
        """Adds a batch that begins to run."""
        self._free.append(batch)
        self._notify()

    def remove(self, batch: PreemptibleBatch) -> None:
        """Removes a batch that has ended or that must not be preempted any more."""
        self._taken.pop(batch, None)
        if batch in self._free:
            self._free.remove(batch)

    def take(self) -> PreemptibleBatch | None:
        """Takes the free batch that was paused for the shortest time; None if none is free."""
        if not self._free:
            return None
        batch = min(self._free, key=lambda free: free.paused_seconds)
        self._free.remove(batch)
        self._taken[batch] = None
        return batch

    def note_work(self, batch: PreemptibleBatch, work: InnerWork) -> None:
        """Records the work that a taken batch is given."""
        if batch in self._taken:
            self._taken[batch] = work

    def get_work(self, batch: PreemptibleBatch) -> InnerWork | None:
        """Returns the work that a batch was given and has not ended; None if there is none."""
        return self._taken.get(batch)

    def give_back(self, batch: PreemptibleBatch) -> None:
        """Makes a taken batch free again, unless it was removed."""
        if batch in self._taken:
            del self._taken[batch]
            self._free.append(batch)
            self._notify()

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener()
