"""Lends objects to one task at a time, in the order of the requests.

With `asyncio.Queue`, a task that returns an object and asks again at once would overtake all waiting tasks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A fair pool of objects for the tasks of one event loop. An object that is passed twice may be lent twice at the
    same time."""

    def __init__(self, things: Iterable[T]) -> None:
        self._free = deque(things)
        self._waiting: deque[asyncio.Future[T]] = deque()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[T]:
        """Lends one object until the block ends."""
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
            if not turn.done():  # a done turn belongs to a cancelled task
                turn.set_result(thing)
                return
        self._free.append(thing)
