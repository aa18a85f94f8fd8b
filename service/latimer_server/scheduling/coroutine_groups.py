"""Groups of coroutines that belong together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def gather_or_cancel(work: Iterable[Awaitable[T]]) -> list[T]:
    """Returns the results of all awaitables, in order.

    If one fails or the caller is cancelled, cancels the others, waits until they have ended, and raises the first
    error. A single awaitable is awaited directly: a task of its own would cost two turns of the event loop.
    """
    awaitables = list(work)
    if len(awaitables) <= 1:
        return [await awaitable for awaitable in awaitables]
    # An asyncio.TaskGroup would be no simpler: it raises an ExceptionGroup, which would have to be unwrapped because
    # callers catch the error itself, and it ignores a task that ends in CancelledError.
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
