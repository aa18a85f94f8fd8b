"""Recent refusals of one model: they hold for the next requests of their kind, so that those are refused more cheaply.

Refusing a request on the event loop takes two changes of threads. Callers that retry without a pause make hundreds of
such requests a second, and all but the first get the same answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from latimer_server.core.errors import TooLate
from latimer_server.scheduling.request_backlog import RequestBacklog
from latimer_server.scheduling.work_items import Clock

# How long a refusal holds for others, in seconds. Estimates change as batches end and callers leave.
_KEPT_SECONDS = 0.25
_MOST_CALLERS = 1_024


@dataclass(frozen=True)
class Refusal:
    """A refusal of a request that would have been late.

    `at`: a clock reading. `characters`: its code points; 0 if they do not matter. `size`: those of them that the model
    would probably compute. `needed`: the seconds that its deadline would have had to leave,
    which fall by `decay` each second while the work before it is done. `message`, `retry_after`: those of the error.
    """

    at: float
    characters: int
    size: int
    needed: float
    decay: float
    message: str
    retry_after: float

    def holds(self, now: float, size: int, seconds_left: float) -> bool:
        """Returns True if a request of `size` code points whose deadline is in `seconds_left` would be late too."""
        age = now - self.at
        return age <= _KEPT_SECONDS and size >= self.size and seconds_left < self.needed - self.decay * age


class RecentRefusals:
    """The last refusal of each caller, and the last one that holds for all callers.

    `backlog`: the requests of the model that are in work. `clock` returns seconds. The thread of the event loop adds
    refusals; any thread may repeat them.
    """

    def __init__(self, backlog: RequestBacklog, clock: Clock) -> None:
        self._backlog = backlog
        self._clock = clock
        self._of_caller: dict[Hashable, Refusal] = {}  # the latest last
        self._of_all: Refusal | None = None

    def add(self, refusal: Refusal, caller: Hashable, *, holds_for_all: bool = False) -> TooLate:
        """Adds a refusal and returns its error. `holds_for_all`: whether such a request of every other caller would
        have been refused too."""
        if holds_for_all:
            self._of_all = refusal
        else:
            self._of_caller.pop(caller, None)
            self._of_caller[caller] = refusal
            if len(self._of_caller) > _MOST_CALLERS:
                del self._of_caller[next(iter(self._of_caller))]
        return self._to_error(refusal)

    def repeat(self, characters: int, caller: Hashable, deadline: float | None) -> None:
        """Raises `TooLate` if a refusal of the last moments holds for a request of `characters` code points.

        `deadline`: a clock reading. Any thread may call it.
        """
        # An idle model accepts everything.
        if deadline is None or self._backlog.is_idle_beside(characters, caller):
            return
        now, size = self._clock(), self._backlog.estimate_computed(characters, caller)
        for refusal in (self._of_caller.get(caller), self._of_all):
            if refusal is not None and refusal.holds(now, size, deadline - now):
                raise self._to_error(refusal)

    def _to_error(self, refusal: Refusal) -> TooLate:
        return TooLate(refusal.message, refusal.retry_after, refusal.characters, self.repeat)
