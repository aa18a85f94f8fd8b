"""In-flight limit: bounds the pieces of one request that are in the queues."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class InflightLimit:
    """A bound on the pieces of one request in the queues, so that a document of any size is fed in gradually.

    `size` is the most pieces at a time. Waiters are served in order of arrival. A demand above `size` waits until
    nothing else of the request is in the queues. Each request has one instance; the queues also use it as the identity
    of the request.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def is_empty(self) -> bool:
        """True if no piece of the request is in a queue or waits for room."""
        return self._used == 0 and not self._waiters

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Waits for room for `count` pieces, at most `size`, and holds it until the context ends."""
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
            requested, waiter = self._waiters.popleft()
            if not waiter.done():
                self._used += requested
                waiter.set_result(None)
