"""Whose piece comes next: callers take turns, and within a caller its requests do.

Knows entries, callers and requests; nothing of batches.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from latimer_server.scheduling.entries import Entry


class Turns:
    """Pieces in the order of turns. One that was taken elsewhere meanwhile is passed over."""

    def __init__(self) -> None:
        self._callers: OrderedDict[Hashable, OrderedDict[Hashable, deque[Entry]]] = OrderedDict()

    def count_before(self, caller: Hashable) -> tuple[int, int]:
        """How many other callers stand here, and how many requests of this one."""
        return len(self._callers) - (caller in self._callers), len(self._callers.get(caller, ()))

    def add(self, entry: Entry, caller: Hashable, request: Hashable) -> None:
        """Puts a piece behind the others of its request."""
        self._callers.setdefault(caller, OrderedDict()).setdefault(request, deque()).append(entry)

    def take(self, is_wanted: Callable[[Entry], bool]) -> Entry | None:
        """The oldest piece of the request whose turn it is of the caller whose turn it is."""
        while self._callers:
            caller, requests = self._callers.popitem(last=False)
            while requests:
                request, entries = requests.popitem(last=False)
                entry = _take_oldest(entries, is_wanted)
                if entries:
                    requests[request] = entries
                if entry is not None:
                    if requests:
                        self._callers[caller] = requests
                    return entry
        return None

    def sweep(self) -> None:
        """Forgets pieces that were taken or that nobody waits for, and whoever has no others."""
        callers = self._callers
        self._callers = OrderedDict()
        for caller, requests in callers.items():
            for request, entries in requests.items():
                for entry in entries:
                    if entry.is_wanted():
                        self.add(entry, caller, request)


def _take_oldest(entries: deque[Entry], is_wanted: Callable[[Entry], bool]) -> Entry | None:
    while entries:
        entry = entries.popleft()
        if is_wanted(entry):
            return entry
    return None
