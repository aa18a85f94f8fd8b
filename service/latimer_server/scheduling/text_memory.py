"""Text memory: bounds the memory of long texts in work, which wait in turns by caller.

A parsed and segmented text takes many times its own size until its translation is complete. Without a bound a hundred
long documents would take gigabytes, although the models work on a few of them at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from latimer_server.core.callers import find_group

# Bytes of the texts in work; with the reserve, which only texts of at most `_SMALL_BYTES` may use. Texts below
# `_FREE_BYTES` are not counted: admission bounds their number.
MAX_BYTES = 384 << 20
_RESERVE_BYTES = 128 << 20
_SMALL_BYTES = 8 << 20
_FREE_BYTES = 3 << 19


class TextMemory:
    """A bound on the estimated bytes of the long texts that are in work. Used from one event loop only."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._waiting: OrderedDict[Hashable, deque[tuple[int, asyncio.Future[None]]]] = OrderedDict()

    @asynccontextmanager
    async def hold(self, size: int, caller: Hashable) -> AsyncIterator[None]:
        """Waits for room for a text of `size` bytes and holds it until the context ends. Callers take turns.

        A text that is larger than the bound waits until no other is in work.
        """
        size = min(size, self._max_bytes)
        if size <= _FREE_BYTES:
            yield
            return
        await self._acquire(size, caller)
        try:
            yield
        finally:
            self._used -= size
            self._admit()

    async def _acquire(self, size: int, caller: Hashable) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append((size, granted))
        self._admit()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._used -= size
            self._admit()
            raise

    def _admit(self) -> None:
        """Admits waiting texts in turns by caller: each as long as it fits, small ones also into the reserve."""
        while self._waiting and self._admit_one_of_each():
            pass

    def _admit_one_of_each(self) -> bool:
        """Admits the first text of one caller of every group that fits. Returns True if there is room for more."""
        for caller in list(self._waiting):
            texts = self._waiting[caller]
            while texts and texts[0][1].done():
                texts.popleft()
            if not texts:
                del self._waiting[caller]
        blocked = False
        admitted: set[Hashable] = set()
        for caller in list(self._waiting):
            if find_group(caller) in admitted:
                continue
            texts = self._waiting[caller]
            size, granted = texts[0]
            fits = not blocked and self._used + size <= self._max_bytes
            if not fits and (size > _SMALL_BYTES or self._used + size > self._max_bytes + _RESERVE_BYTES):
                blocked = True
                continue
            texts.popleft()
            self._used += size
            granted.set_result(None)
            admitted.add(find_group(caller))
            self._move_to_end(caller)
        return not blocked

    def _move_to_end(self, caller: Hashable) -> None:
        """Moves a caller behind all others, and its group behind all other groups."""
        group = find_group(caller)
        for other in [other for other in self._waiting if other != caller and find_group(other) == group]:
            self._waiting.move_to_end(other)
        self._waiting.move_to_end(caller)
