"""Time shares: callers get equal parts of a thread's time, however long each piece of their work takes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from latimer_server.core.callers import find_group


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

    def __contains__(self, caller: Hashable) -> bool:
        return caller in self._tags

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


class GroupedTimeShares:
    """The order of callers whose groups get equal parts of the time, which the callers of a group share equally.

    The methods are those of `TimeShares`; `find_group` tells the group of a caller.
    """

    def __init__(self) -> None:
        self._groups = TimeShares()
        self._callers: dict[Hashable, TimeShares] = {}

    def add(self, caller: Hashable) -> None:
        """Makes a caller due that had no waiting work until now."""
        group = find_group(caller)
        self._groups.add(group)
        self._callers.setdefault(group, TimeShares()).add(caller)

    def choose(self, waiting: Iterable[Hashable]) -> Hashable:
        """Returns the caller that is next among those with waiting work; of equal ones the first."""
        by_group: dict[Hashable, list[Hashable]] = {}
        for caller in waiting:
            by_group.setdefault(find_group(caller), []).append(caller)
        group = self._groups.choose(by_group)
        return self._callers[group].choose(by_group[group])

    def charge(self, caller: Hashable, seconds: float) -> None:
        """Adds the seconds that work of a caller took."""
        group = find_group(caller)
        self._groups.charge(group, seconds)
        self._callers.setdefault(group, TimeShares()).charge(caller, seconds)

    def forget(self, waiting: Iterable[Hashable]) -> None:
        """Drops the callers and groups without waiting work that are due at once anyway."""
        kept = list(waiting)
        self._groups.forget({find_group(caller) for caller in kept})
        self._callers = {group: shares for group, shares in self._callers.items() if group in self._groups}
        for shares in self._callers.values():
            shares.forget(kept)
