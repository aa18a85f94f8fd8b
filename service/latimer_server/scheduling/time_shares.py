"""Time shares: callers get equal parts of a thread's time, however long each piece of their work takes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


class TimeShares:
    """The order of callers of one thread, which does one piece of work at a time.

    This is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) with measured costs. Each caller has a start
    tag: the virtual time at which its next work is due. The caller with the lowest tag is next, and the seconds of its
    work are added to its tag. The virtual time is the tag of the work that began last. A caller that comes, or comes
    back, is due at once, so it gains nothing from the time in which it had no work.
    """

    def __init__(self) -> None:
        self._tags: dict[Hashable, float] = {}
        self._virtual = 0.0

    def add(self, caller: Hashable) -> None:
        """Makes a caller due that had no waiting work until now."""
        self._tags[caller] = max(self._virtual, self._tags.get(caller, 0.0))

    def choose(self, waiting: Iterable[Hashable]) -> Hashable:
        """Returns the caller that is next among those with waiting work; of equal ones the first."""
        chosen = min(waiting, key=self._tags.__getitem__)
        self._virtual = self._tags[chosen]
        return chosen

    def charge(self, caller: Hashable, seconds: float) -> None:
        """Adds the seconds that work of a caller took."""
        self._tags[caller] = max(self._virtual, self._tags.get(caller, 0.0)) + seconds

    def forget(self, waiting: Iterable[Hashable]) -> None:
        """Drops the callers without waiting work that are due at once anyway."""
        kept = set(waiting)
        self._tags = {caller: tag for caller, tag in self._tags.items() if caller in kept or tag > self._virtual}
