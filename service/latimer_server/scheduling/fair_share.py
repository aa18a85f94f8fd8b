"""Whose piece comes next: callers take turns, and within a caller its requests do.

Knows entries, callers and requests; nothing of batches.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from latimer_server.scheduling.work_items import Owner, WorkItem

# Requests that are done and may come back, of which it is remembered what was left of their turn.
_MOST_REMEMBERED = 1_024


class FairOrder:
    """Pieces in the order of turns. A turn is a request's: it lasts until `quantum` of its pieces were taken, in
    whatever batch, or all of them; then its caller stands behind the others, and the request behind its caller's
    others. So a request of a few pieces is done in one turn, not in as many as it has pieces, and one of thousands
    holds nobody up for longer. One that comes back, because something has to be done again, goes on with what was
    left of its turn. A piece that was taken elsewhere meanwhile is passed over.
    """

    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._left = quantum  # of the turn of whoever stands first
        self._callers: OrderedDict[Hashable, OrderedDict[Hashable, deque[WorkItem]]] = OrderedDict()
        self._unused: OrderedDict[Owner, int] = OrderedDict()  # what was left of turns that ended early
        self._returned: deque[WorkItem] = deque()

    def count_ahead(self, caller: Hashable) -> tuple[int, int]:
        """How many other callers stand here, and how many requests of this one."""
        return len(self._callers) - (caller in self._callers), len(self._callers.get(caller, ()))

    def add(self, item: WorkItem, caller: Hashable, request: Hashable) -> None:
        """Puts a piece behind the others of its request."""
        if unused := self._unused.pop((caller, request), 0):
            self._remember((caller, request), unused - 1)
            self._returned.append(item)
            return
        self._callers.setdefault(caller, OrderedDict()).setdefault(request, deque()).append(item)
        item.owners.add((caller, request))

    def take(self, is_wanted: Callable[[WorkItem], bool]) -> WorkItem | None:
        """The oldest piece of the request whose turn it is. It counts when `count` is told."""
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
        """Notes that a piece was taken, by `take` or in a batch that another one begins."""
        if not self._callers:
            return
        caller, requests = next(iter(self._callers.items()))
        if (caller, next(iter(requests))) in item.owners:
            self._left -= 1
            if self._left <= 0:
                self._end_turn()

    def sweep(self, is_wanted: Callable[[WorkItem], bool]) -> None:
        """Forgets pieces that were taken or that nobody waits for, and whoever has no others."""
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
        if len(self._unused) > _MOST_REMEMBERED:
            self._unused.popitem(last=False)
