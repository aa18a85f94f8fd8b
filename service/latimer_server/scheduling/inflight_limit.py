"""How many pieces one request may have in the queues.

Counts; knows nothing of what is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class InflightLimit:
    """Bounds the pieces that one request has in the queues, so that a document of any size is fed through.

    First come, first served. A demand larger than the window waits until it is empty. A request has one window,
    by which the queues know its pieces from those of other requests.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the request is in a queue, nor waits for room."""
        return self._used == 0 and not self._waiters

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Holds room for `count` pieces."""
        count = min(count, self._size)
        if self._waiters or self._used + count > self._size:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((count, waiter))
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._release(count)
                raise
        else:
            self._used += count
        try:
            yield
        finally:
            self._release(count)

    def _release(self, count: int) -> None:
        self._used -= count
        while self._waiters and (self._waiters[0][1].done() or self._used + self._waiters[0][0] <= self._size):
            wanted, waiter = self._waiters.popleft()
            if not waiter.done():
                self._used += wanted
                waiter.set_result(None)
