"""Offloading: moves longer work on texts off the event loop, and runs groups of coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
# Work on at most this many code points runs on the event loop; nearly every paragraph is shorter. One request comes
# here some ten times, and for such short texts a thread costs more than the work, because it waits for the interpreter
# lock. Inline work delays every other call: with a limit of 500, paragraphs were a sixth slower; with 2,500 they were
# no faster.
_INLINE_CHARACTERS = 1_000
# Cost of one text in `estimate_text_work` besides its length, in code points.
_TEXT_CHARACTERS = 50


def estimate_text_work(texts: Sequence[str]) -> int:
    """Returns the estimated cost of work on texts, in code points; it is the `size` of `run_off_loop`.

    Every text adds a fixed cost of 50, because a thousand texts of one letter are expensive too.
    """
    return sum(map(len, texts)) + _TEXT_CHARACTERS * len(texts)


async def run_off_loop(size: int, work: Callable[[], T]) -> T:
    """Returns the result of `work` over `size` code points, run inline up to 1,000 code points, else in a thread."""
    return work() if size <= _INLINE_CHARACTERS else await asyncio.to_thread(work)


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
