"""Things that are lent to one at a time, in the order of asking. Knows nothing of what they are.

With a queue of asyncio's, who has just given something back and asks again would come before all who wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Belongs to one event loop. The same thing may be given twice: then two may have it at a time."""

    def __init__(self, things: Iterable[T]) -> None:
        self._free = deque(things)
        self._waiting: deque[asyncio.Future[T]] = deque()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[T]:
        """One of them, until the block ends."""
        thing = self._free.popleft() if self._free else await self._wait()
        try:
            yield thing
        finally:
            self._give_back(thing)

    async def _wait(self) -> T:
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        return await turn

    def _give_back(self, thing: T) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else who waited has gone
                turn.set_result(thing)
                return
        self._free.append(thing)
