"""Who may come in: so many requests in work, and room kept so that no caller can have all of it.

Counts requests and callers; knows nothing of what they ask for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from latimer_server.core.errors import Overloaded, Unavailable

# One place in so many is kept for callers that hold few, so that one caller alone cannot shut the others out.
_KEPT_SHARE = 8


class Admission:
    """Bounds the requests in work. Past the bound a request is refused at once, not queued.

    A caller that holds all places but one in eight gets no more: somebody else always finds one.
    """

    def __init__(self, most: int, retry_after: float = 1.0) -> None:
        self._most = most
        self._most_of_one = most - most // _KEPT_SHARE
        self._retry_after = retry_after
        self._draining = False
        self._of_caller: Counter[Hashable] = Counter()
        self.active = 0  # requests in work

    @property
    def callers(self) -> int:
        """The number of callers that have requests in work."""
        return len(self._of_caller)

    def drain(self) -> None:
        """Refuses every request from now on."""
        self._draining = True

    @contextmanager
    def admit(self, caller: Hashable = None) -> Iterator[None]:
        """Holds a place while the request is in work; `caller` None is nobody in particular, whom only the bound
        of all holds back. Raises `Overloaded` or `Unavailable`."""
        if self._draining:
            raise Unavailable("the server is shutting down")
        if self.active >= self._most:
            raise Overloaded(f"{self._most} requests are in work, which is the limit", self._retry_after)
        if caller is not None and self._of_caller[caller] >= self._most_of_one:
            raise Overloaded(f"this caller has {self._most_of_one} requests in work, its limit", self._retry_after)
        self.active += 1
        self._of_caller[caller] += 1
        try:
            yield
        finally:
            self.active -= 1
            self._of_caller[caller] -= 1
            if not self._of_caller[caller]:
                del self._of_caller[caller]
