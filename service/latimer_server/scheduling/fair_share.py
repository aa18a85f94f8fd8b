"""Fair order: callers take turns, and the requests of one caller take turns among themselves."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from latimer_server.scheduling.work_items import Owner, WorkItem

# `FairOrder` remembers the unused part of a turn for at most this many requests, and forgets the oldest.
_MAX_REMEMBERED = 1_024


class FairOrder:
    """The waiting pieces in the order of turns.

    A turn belongs to a request. It ends when `quantum` pieces of the request were taken, in any batch, when none is
    left, or after a batch that had to be small. Then its caller moves behind the other callers, and the request behind
    the other requests of its caller. So a short request is done in one turn, and a request of thousands of pieces
    delays no other for longer than one turn. If a request whose turn ended early queues further pieces, such as a
    second try, they use the rest of that turn and go before all others. Pieces that were taken in another request's
    turn are skipped.
    """

    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._left = quantum  # pieces left in the current turn
        self._callers: OrderedDict[Hashable, OrderedDict[Hashable, deque[WorkItem]]] = OrderedDict()
        self._unused: OrderedDict[Owner, int] = OrderedDict()  # pieces left of turns that ended early
        self._returned: deque[WorkItem] = deque()

    def count_ahead(self, caller: Hashable) -> tuple[int, int]:
        """Returns the number of other callers with queued pieces, and of this caller's requests with queued pieces.

        Pieces that use the rest of an earlier turn do not count.
        """
        return len(self._callers) - (caller in self._callers), len(self._callers.get(caller, ()))

    def add(self, item: WorkItem, caller: Hashable, request: Hashable) -> None:
        """Appends a piece to its request.

        If the request has a part of an earlier turn left, the piece goes before all turns instead.
        """
        if unused := self._unused.pop((caller, request), 0):
            self._remember((caller, request), unused - 1)
            self._returned.append(item)
            return
        self._callers.setdefault(caller, OrderedDict()).setdefault(request, deque()).append(item)
        item.owners.add((caller, request))

    def take(self, is_wanted: Callable[[WorkItem], bool]) -> WorkItem | None:
        """Removes and returns the piece that comes next; None if no wanted piece is left.

        Pieces that use the rest of an earlier turn come first, then the oldest wanted piece of the request that has the
        turn. The piece does not count against the turn until `count` is called.
        """
        while self._returned:
            if is_wanted(item := self._returned.popleft()):
                return item
        while self._callers:
            requests = next(iter(self._callers.values()))
            items = next(iter(requests.values()))
            while items:
                item = items.popleft()
                if is_wanted(item):
                    return item
            self._end_turn()
        return None

    def count(self, item: WorkItem) -> None:
        """Counts a taken piece against the current turn if the request that has the turn owns it.

        Applies to pieces from `take` and to pieces that joined a batch by their length.
        """
        if not self._callers:
            return
        caller, requests = next(iter(self._callers.items()))
        if (caller, next(iter(requests))) in item.owners:
            self._left -= 1
            if self._left <= 0:
                self._end_turn()

    def end_turn(self, item: WorkItem) -> None:
        """Ends the current turn if the request that has it owns a piece that was taken."""
        if self._callers:
            caller, requests = next(iter(self._callers.items()))
            if (caller, next(iter(requests))) in item.owners:
                self._end_turn()

    def sweep(self, is_wanted: Callable[[WorkItem], bool]) -> None:
        """Drops pieces that are not wanted any more, and callers and requests that have no others."""
        self._returned = deque(item for item in self._returned if is_wanted(item))
        callers = self._callers
        self._callers = OrderedDict()
        for caller, requests in callers.items():
            for request, items in requests.items():
                for item in items:
                    if is_wanted(item):
                        self.add(item, caller, request)

    def _end_turn(self) -> None:
        left, self._left = self._left, self._quantum
        caller, requests = self._callers.popitem(last=False)
        request, items = requests.popitem(last=False)
        if items:
            requests[request] = items
        else:
            self._remember((caller, request), left)
        if requests:
            self._callers[caller] = requests

    def _remember(self, owner: Owner, unused: int) -> None:
        if unused > 0:
            self._unused[owner] = unused
        if len(self._unused) > _MAX_REMEMBERED:
            self._unused.popitem(last=False)
