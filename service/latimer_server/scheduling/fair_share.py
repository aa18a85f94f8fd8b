"""Fair order: callers take turns, new ones first, and the requests of one caller are done one after another."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Container, Hashable, Sequence
from dataclasses import dataclass, field

from latimer_server.scheduling.work_items import Owner, WorkItem

# `FairOrder` remembers the unused part of a turn for at most this many requests, and the places of about as many
# callers without pieces, and forgets the oldest.
_MAX_REMEMBERED = 1_024
# One turn in so many goes to a caller that had one before, while new callers wait too.
OLD_EVERY = 8
# One choice in so many falls on the oldest new caller or request, the others on the one with the fewest pieces.
OLDEST_EVERY = 4


@dataclass(eq=False)
class _Caller:
    """A caller and its queued pieces by request, oldest request first. `turns`: those that it had."""

    requests: OrderedDict[Hashable, deque[WorkItem]] = field(default_factory=OrderedDict)
    turns: int = 0

    @property
    def pieces(self) -> int:
        """The number of queued pieces."""
        return sum(map(len, self.requests.values()))

    def choose(self) -> Hashable:
        """Returns the request that gets the next turn."""
        if self.turns % OLDEST_EVERY == OLDEST_EVERY - 1:
            return next(iter(self.requests))
        return min(self.requests, key=lambda request: len(self.requests[request]))


@dataclass(frozen=True)
class _Turn:
    """The turn of a request of a caller."""

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
    done in one turn, and a request of thousands of pieces delays no other caller for longer than one turn. A caller
    without queued pieces is new: it goes before all that had a turn already, so that its wait depends on the number of
    new callers only (as in FQ-CoDel, RFC 8290, section 4.2). One turn in eight is an older caller's even then. A caller
    whose pieces were all taken keeps its place for one round, and is not new again until then.

    Among the new callers, and among the requests of one caller, the one with the fewest queued pieces goes first, so
    that of equal requests each is finished before the next. One choice in four falls on the oldest. If a request whose
    turn ended early queues further pieces, such as a second try, they use the rest of that turn and go before all
    others. Pieces that were taken in another request's turn are skipped.
    """

    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._left = quantum  # pieces left in the current turn
        self._turn: _Turn | None = None  # the current one
        self._new: OrderedDict[Hashable, _Caller] = OrderedDict()
        self._old: OrderedDict[Hashable, _Caller] = OrderedDict()  # with those that keep their place
        self._placeholders = 0  # callers in `_old` without pieces
        self._new_turns = 0  # turns of new callers since the last one of an old caller that waited
        self._choices = 0  # turns of new callers
        self._unused: OrderedDict[Owner, int] = OrderedDict()  # pieces left of turns that ended early
        self._returned: deque[WorkItem] = deque()

    @property
    def callers(self) -> int:
        """The number of callers with queued pieces. Pieces that use the rest of an earlier turn do not count."""
        return len(self._new) + len(self._old) - self._placeholders

    def count_ahead(self, name: Hashable) -> tuple[int, int]:
        """Returns how many callers have a turn before a short new request of a caller, and how many requests it has
        queued."""
        if name in self._old:
            requests = len(self._old[name].requests)
            return self.callers - (requests > 0), requests
        short = sum(caller.pieces <= self._quantum for other, caller in self._new.items() if other != name)
        others = self.callers - (name in self._new)
        requests = len(self._new[name].requests) if name in self._new else 0
        return min(others, short + short // (OLDEST_EVERY - 1) + short // (OLD_EVERY - 1) + 1), requests

    def add(self, item: WorkItem, name: Hashable, request: Hashable) -> None:
        """Appends a piece to its request.

        If the request has a part of an earlier turn left, the piece goes before all turns instead.
        """
        if unused := self._unused.pop((name, request), 0):
            self._remember((name, request), unused - 1)
            self._returned.append(item)
            return
        caller = self._old.get(name)
        if caller is None:
            caller = self._new.setdefault(name, _Caller())
        elif not caller.requests:
            self._placeholders -= 1
        caller.requests.setdefault(request, deque()).append(item)
        item.owners.add((name, request))

    def has_others(self, names: Container[Hashable]) -> bool:
        """Returns True if another caller than `names` has queued pieces."""
        return any(
            caller.requests and name not in names for lane in (self._new, self._old) for name, caller in lane.items()
        )

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
        self._placeholders = 0
        self._new, self._old = (_sweep_lane(lane, is_wanted) for lane in (self._new, self._old))

    def _begin_turn(self, blocked: Container[Hashable]) -> _Turn | None:
        """Returns the current turn, or the next one if it has ended; None if no caller may have one."""
        if self._turn and self._turn.name in blocked:
            self._end_turn(self._turn)
        if self._turn:
            return self._turn
        old = ((name, caller) for name, caller in self._old.items() if caller.requests and name not in blocked)
        first_old = next(old, None)
        new = [(name, caller) for name, caller in self._new.items() if name not in blocked]
        if first_old is None:
            self._new_turns = 0
        if first_old and (not new or self._new_turns >= OLD_EVERY - 1):
            self._drop_placeholders()
            name, caller = first_old
        elif new:
            name, caller = self._choose_new(new)
        else:
            return None
        self._turn = _Turn(name, caller, caller.choose())
        self._left = self._quantum
        return self._turn

    def _note_turn(self, turn: _Turn) -> None:
        """Counts a turn of which the first piece is taken."""
        turn.caller.turns += 1
        if turn.name in self._new:
            self._new_turns += 1
            self._choices += 1
        else:
            self._new_turns = 0

    def _choose_new(self, new: Sequence[tuple[Hashable, _Caller]]) -> tuple[Hashable, _Caller]:
        """Returns the new caller that gets the next turn."""
        if self._choices % OLDEST_EVERY == OLDEST_EVERY - 1:
            return new[0]
        return min(new, key=lambda entry: entry[1].pieces)

    def _end_turn(self, turn: _Turn) -> None:
        self._turn = None
        if not turn.caller.requests[turn.request]:
            del turn.caller.requests[turn.request]
            self._remember(turn.owner, self._left)
        for lane in (self._new, self._old):
            lane.pop(turn.name, None)
        self._old[turn.name] = turn.caller
        self._placeholders += not turn.caller.requests
        if self._placeholders > _MAX_REMEMBERED:
            self._drop_placeholders()

    def _drop_placeholders(self) -> None:
        """Drops the callers without pieces at the head of `_old`."""
        while self._old and not next(iter(self._old.values())).requests:
            self._old.popitem(last=False)
            self._placeholders -= 1

    def _remember(self, owner: Owner, unused: int) -> None:
        if unused > 0:
            self._unused[owner] = unused
        if len(self._unused) > _MAX_REMEMBERED:
            self._unused.popitem(last=False)


def _sweep_lane(
    lane: OrderedDict[Hashable, _Caller], is_wanted: Callable[[WorkItem], bool]
) -> OrderedDict[Hashable, _Caller]:
    """Returns the callers of a lane with their wanted pieces, and without those that have none."""
    kept: OrderedDict[Hashable, _Caller] = OrderedDict()
    for name, caller in lane.items():
        requests: OrderedDict[Hashable, deque[WorkItem]] = OrderedDict()
        for request, items in caller.requests.items():
            if wanted := deque(item for item in items if is_wanted(item)):
                requests[request] = wanted
        if requests:
            kept[name] = _Caller(requests, caller.turns)
    return kept
