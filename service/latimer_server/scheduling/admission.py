"""Admission: bounds the requests that the server works on, in total and for each caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from latimer_server.core.callers import find_group
from latimer_server.core.errors import OverloadBound, Overloaded

# This share of the places is for callers without requests, so that the others cannot shut them out.
_RESERVED_SHARE = 8
# This share is for groups of callers without requests, such as the connections of another address.
_RESERVED_GROUP_SHARE = 16


class Admission:
    """A bound on active requests. Beyond the bound a request is refused at once; it is not queued.

    `limit` is the most requests at a time. The last eighth of the places, rounded down, is for callers that have no
    request in work, so that a new caller finds a place beside any number of busy ones (for a `limit` below 8 there is
    no such place). Half of these are for groups (see `find_group`) without any. `retry_after` is the hint in seconds
    that a refusal carries.
    """

    def __init__(self, limit: int, retry_after: float = 1.0) -> None:
        self._limit = limit
        self._shared_limit = limit - limit // _RESERVED_SHARE
        self._group_limit = limit - limit // _RESERVED_GROUP_SHARE
        self._retry_after = retry_after
        self._of_group: Counter[Hashable] = Counter()
        self._of_caller: Counter[Hashable] = Counter()
        self.active = 0  # admitted requests that have not ended

    @property
    def callers(self) -> int:
        """The number of callers that have requests in work; all anonymous callers count as one."""
        return len(self._of_caller)

    def require_place(self, caller: Hashable = None) -> None:
        """Raises what `admit` would raise now. May be called from any thread."""
        if self.active >= self._limit:
            raise Overloaded(
                f"the server has {self._limit} requests in work, which is its limit; try again later",
                self._retry_after,
                OverloadBound.REQUESTS,
            )
        own = self._of_caller.get(caller, 0) if caller is not None else 0
        if own and self.active >= self._shared_limit:
            raise Overloaded(
                f"the server has {self.active} requests in work, {own} of them of this caller; its last"
                f" {self._limit - self._shared_limit} places are for callers without any; wait for one to end",
                self._retry_after,
                OverloadBound.REQUESTS,
            )
        if caller is not None and self.active >= self._group_limit and (held := self._of_group[find_group(caller)]):
            raise Overloaded(
                f"the server has {self.active} requests in work, {held} of them of this address; its last"
                f" {self._limit - self._group_limit} places are for addresses without any; wait for one to end",
                self._retry_after,
                OverloadBound.REQUESTS,
            )

    @contextmanager
    def admit(self, caller: Hashable = None) -> Iterator[None]:
        """Holds a place for one request until the context ends.

        `caller` None means an anonymous caller; only the total limit applies to it. Raises `Overloaded` when a limit
        is reached.
        """
        self.require_place(caller)
        self.active += 1
        self._of_caller[caller] += 1
        self._of_group[find_group(caller)] += 1
        try:
            yield
        finally:
            self.active -= 1
            self._of_caller[caller] -= 1
            if not self._of_caller[caller]:
                del self._of_caller[caller]
            self._of_group[find_group(caller)] -= 1
            if not self._of_group[find_group(caller)]:
                del self._of_group[find_group(caller)]
