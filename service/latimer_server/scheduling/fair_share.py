"""Fair order: callers take turns, new ones first, and the requests of one caller are done one after another."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Container, Hashable
from dataclasses import dataclass, field

from latimer_server.core.callers import find_group
from latimer_server.scheduling.turn_lanes import OLDEST_EVERY, TurnLanes
from latimer_server.scheduling.work_items import Owner, WorkItem

# `FairOrder` remembers the unused part of a turn for at most this many requests, and forgets the oldest.
_MAX_REMEMBERED = 1_024


@dataclass(eq=False)
class _Caller:
    """A caller and its queued pieces by request, oldest request first. `turns`: those that it had."""

    requests: OrderedDict[Hashable, deque[WorkItem]] = field(default_factory=OrderedDict)
    turns: int = 0

    @property
    def pieces(self) -> int:
        """The number of queued pieces."""
        return sum(map(len, self.requests.values()))

    @property
    def waits(self) -> bool:
        """True if requests are queued."""
        return bool(self.requests)

    def choose(self) -> Hashable:
        """Returns the request that gets the next turn."""
        if self.turns % OLDEST_EVERY == OLDEST_EVERY - 1:
            return next(iter(self.requests))
        return min(self.requests, key=lambda request: len(self.requests[request]))


@dataclass(eq=False)
class _Group:
    """The callers that share the part of one, in the order of their turns."""

    callers: TurnLanes[_Caller] = field(default_factory=TurnLanes)

    @property
    def pieces(self) -> int:
        """The number of queued pieces."""
        return sum(caller.pieces for _, caller in self.callers)

    @property
    def waits(self) -> bool:
        """True if requests are queued."""
        return len(self.callers) > 0


@dataclass(frozen=True)
class _Turn:
    """The turn of a request of a caller of a group."""

    group_name: Hashable
    group: _Group
    name: Hashable
    caller: _Caller
    request: Hashable

    @property
    def owner(self) -> Owner:
        return self.name, self.request


class FairOrder:
    """The waiting pieces in the order of turns.

    A turn belongs to a request. It ends when `quantum` pieces of the request were taken, in any batch, when none is
    left, or after a batch that had to be small. Then its caller moves behind the other callers. So a short request is
    done in one turn, and a request of thousands of pieces delays no other caller for longer than one turn. `TurnLanes`
    has the order of callers. Callers of one group (see `find_group`) share the turns of one caller: groups take turns,
    and within a group its callers do.

    Among the requests of one caller, the one with the fewest queued pieces goes first, so that of equal requests each
    is finished before the next. One choice in four falls on the oldest. If a request whose turn ended early queues
    further pieces, such as a second try, they use the rest of that turn and go before all others. Pieces that were
    taken in another request's turn are skipped.
    """

    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._left = quantum  # pieces left in the current turn
        self._turn: _Turn | None = None  # the current one
        self._groups: TurnLanes[_Group] = TurnLanes()
        self._unused: OrderedDict[Owner, int] = OrderedDict()  # pieces left of turns that ended early
        self._returned: deque[WorkItem] = deque()

    @property
    def callers(self) -> int:
        """The number of callers with queued pieces. Pieces that use the rest of an earlier turn do not count."""
        return sum(len(group.callers) for _, group in self._groups)

    def count_ahead(self, name: Hashable) -> tuple[int, int]:
        """Returns how many turns of other callers come before one of a short new request of a caller, and how many
        requests it has queued."""
        group_name = find_group(name)
        groups, group = self._groups.count_ahead(group_name, self._quantum), self._groups.find(group_name)
        if group is None:
            return groups, 0
        callers, caller = group.callers.count_ahead(name, self._quantum), group.callers.find(name)
        # Other groups have a turn before each turn of this group.
        return groups * (callers + 1) + callers, len(caller.requests) if caller else 0

    def add(self, item: WorkItem, name: Hashable, request: Hashable) -> None:
        """Appends a piece to its request.

        If the request has a part of an earlier turn left, the piece goes before all turns instead.
        """
        if unused := self._unused.pop((name, request), 0):
            self._remember((name, request), unused - 1)
            self._returned.append(item)
            return
        caller = self._groups.fill(find_group(name), _Group).callers.fill(name, _Caller)
        caller.requests.setdefault(request, deque()).append(item)
        item.owners.add((name, request))

    def has_others(self, names: Container[Hashable]) -> bool:
        """Returns True if another caller than `names` has queued pieces."""
        return any(caller.waits and name not in names for _, group in self._groups for name, caller in group.callers)

    def take(
        self, is_wanted: Callable[[WorkItem], bool], blocked: Container[Hashable] = frozenset()
    ) -> WorkItem | None:
        """Removes and returns the piece that comes next; None if no wanted piece is left. `blocked`: callers that have
        no turn now.

        Pieces that use the rest of an earlier turn come first, then the oldest wanted piece of the request that has the
        turn. The piece does not count against the turn until `count` is called.
        """
        while self._returned:
            if is_wanted(item := self._returned.popleft()):
                return item
        while turn := self._begin_turn(blocked):
            items = turn.caller.requests[turn.request]
            while items:
                item = items.popleft()
                if is_wanted(item):
                    if self._left == self._quantum:
                        self._note_turn(turn)
                    return item
            self._end_turn(turn)
        return None

    def count(self, item: WorkItem) -> None:
        """Counts a taken piece against the current turn if the request that has the turn owns it.

        Applies to pieces from `take` and to pieces that joined a batch by their length.
        """
        turn = self._turn
        if turn and turn.owner in item.owners:
            self._left -= 1
            if self._left <= 0:
                self._end_turn(turn)

    def end_turn(self, item: WorkItem) -> None:
        """Ends the current turn if the request that has it owns a piece that was taken."""
        turn = self._turn
        if turn and turn.owner in item.owners:
            self._end_turn(turn)

    def sweep(self, is_wanted: Callable[[WorkItem], bool]) -> None:
        """Drops pieces that are not wanted any more, and callers and requests that have no others."""
        self._returned = deque(item for item in self._returned if is_wanted(item))
        self._turn, self._left = None, self._quantum

        def keep_caller(caller: _Caller) -> _Caller | None:
            requests: OrderedDict[Hashable, deque[WorkItem]] = OrderedDict()
            for request, items in caller.requests.items():
                if wanted := deque(item for item in items if is_wanted(item)):
                    requests[request] = wanted
            return _Caller(requests, caller.turns) if requests else None

        def keep_group(group: _Group) -> _Group | None:
            group.callers.sweep(keep_caller)
            return group if group.waits else None

        self._groups.sweep(keep_group)

    def _begin_turn(self, blocked: Container[Hashable]) -> _Turn | None:
        """Returns the current turn, or the next one if it has ended; None if no caller may have one."""
        if self._turn and self._turn.name in blocked:
            self._end_turn(self._turn)
        if self._turn:
            return self._turn

        def may_have_turn(name: Hashable, caller: _Caller) -> bool:
            return caller.waits and name not in blocked

        chosen = self._groups.choose(lambda _, group: any(may_have_turn(*entry) for entry in group.callers))
        found = chosen and chosen[1].callers.choose(may_have_turn)
        if not chosen or not found:
            return None
        self._turn = _Turn(*chosen, *found, found[1].choose())
        self._left = self._quantum
        return self._turn

    def _note_turn(self, turn: _Turn) -> None:
        """Counts a turn of which the first piece is taken."""
        turn.caller.turns += 1
        turn.group.callers.note_turn(turn.name)
        self._groups.note_turn(turn.group_name)

    def _end_turn(self, turn: _Turn) -> None:
        self._turn = None
        if not turn.caller.requests[turn.request]:
            del turn.caller.requests[turn.request]
            self._remember(turn.owner, self._left)
        turn.group.callers.end_turn(turn.name, turn.caller)
        self._groups.end_turn(turn.group_name, turn.group)

    def _remember(self, owner: Owner, unused: int) -> None:
        if unused > 0:
            self._unused[owner] = unused
        if len(self._unused) > _MAX_REMEMBERED:
            self._unused.popitem(last=False)
