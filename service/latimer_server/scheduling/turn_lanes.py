"""Turn lanes: the order in which callers, or groups of callers, have turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

# One turn in so many goes to an entry that had one before, while new ones wait too.
OLD_EVERY = 8
# One choice in so many falls on the oldest new entry, the others on the one with the fewest pieces.
OLDEST_EVERY = 4
# The most entries without work that keep their place.
_MAX_PLACEHOLDERS = 1_024


class TurnEntry(Protocol):
    """A caller or a group of callers."""

    @property
    def pieces(self) -> int:
        """The number of queued pieces."""

    @property
    def waits(self) -> bool:
        """True if requests are queued."""


E = TypeVar("E", bound=TurnEntry)


class TurnLanes(Generic[E]):
    """Entries in two lanes: those that are new, and those that had a turn.

    An entry without queued pieces is new: it goes before all that had a turn already, so that its wait depends on the
    number of new entries only (as in FQ-CoDel, RFC 8290, section 4.2). One turn in eight is an older entry's even then.
    An entry whose pieces were all taken keeps its place for one round, and is not new again until then. Among the new
    ones the one with the fewest queued pieces goes first; one choice in four falls on the oldest.
    """

    def __init__(self) -> None:
        self._new: OrderedDict[Hashable, E] = OrderedDict()
        self._old: OrderedDict[Hashable, E] = OrderedDict()  # with those that keep their place
        self._placeholders = 0  # entries in `_old` without pieces
        self._new_turns = 0  # turns of new entries since the last one of an old entry that waited
        self._choices = 0  # turns of new entries

    def __len__(self) -> int:
        """Returns the number of entries that wait."""
        return len(self._new) + len(self._old) - self._placeholders

    def __iter__(self) -> Iterator[tuple[Hashable, E]]:
        """Yields the names and entries that have a place."""
        for lane in (self._new, self._old):
            yield from lane.items()

    def find(self, name: Hashable) -> E | None:
        """Returns the entry of this name; None if it has no place."""
        return self._old.get(name) or self._new.get(name)

    def fill(self, name: Hashable, make: Callable[[], E]) -> E:
        """Returns the entry of this name, which gets a piece now. `make` makes a new one."""
        entry = self._old.get(name)
        if entry is None:
            return self._new[name] if name in self._new else self._new.setdefault(name, make())
        if not entry.waits:
            self._placeholders -= 1
        return entry

    def count_ahead(self, name: Hashable, short: int) -> int:
        """Returns how many entries have a turn before a short new request of an entry. `short`: the most pieces of an
        entry with which it goes before others."""
        if name in self._old:
            return len(self) - self._old[name].waits
        few = sum(entry.pieces <= short for other, entry in self._new.items() if other != name)
        others = len(self) - (name in self._new)
        return min(others, few + few // (OLDEST_EVERY - 1) + few // (OLD_EVERY - 1) + 1)

    def choose(self, may_have_turn: Callable[[Hashable, E], bool]) -> tuple[Hashable, E] | None:
        """Returns the name and the entry that gets the next turn; None if no entry may have one."""
        old = (item for item in self._old.items() if item[1].waits and may_have_turn(*item))
        first_old = next(old, None)
        new = [item for item in self._new.items() if may_have_turn(*item)]
        if first_old is None:
            self._new_turns = 0
        if first_old and (not new or self._new_turns >= OLD_EVERY - 1):
            self._drop_placeholders()
            return first_old
        if not new:
            return None
        if self._choices % OLDEST_EVERY == OLDEST_EVERY - 1:
            return new[0]
        return min(new, key=lambda item: item[1].pieces)

    def note_turn(self, name: Hashable) -> None:
        """Counts a turn of which the first piece is taken."""
        if name in self._new:
            self._new_turns += 1
            self._choices += 1
        else:
            self._new_turns = 0

    def end_turn(self, name: Hashable, entry: E) -> None:
        """Moves an entry, whose turn has ended, behind the others."""
        for lane in (self._new, self._old):
            lane.pop(name, None)
        self._old[name] = entry
        self._placeholders += not entry.waits
        if self._placeholders > _MAX_PLACEHOLDERS:
            self._drop_placeholders()

    def sweep(self, keep: Callable[[E], E | None]) -> None:
        """Replaces each entry by what `keep` returns, and drops it for None."""
        self._placeholders = 0
        self._new, self._old = (
            OrderedDict((name, kept) for name, entry in lane.items() if (kept := keep(entry)) is not None)
            for lane in (self._new, self._old)
        )

    def _drop_placeholders(self) -> None:
        """Drops the entries without pieces at the head of `_old`."""
        while self._old and not next(iter(self._old.values())).waits:
            self._old.popitem(last=False)
            self._placeholders -= 1
