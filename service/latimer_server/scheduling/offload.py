"""Work on texts that must not hold the event loop up, and coroutines that belong together.

Knows sizes of texts; nothing of batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
# Nearly every paragraph: a call goes through here some ten times, and each time a thread costs more than the work on so
# little text, for it has the interpreter's lock to wait for. What is worked on here holds up every other call; at 500
# paragraphs were a sixth slower, and at 2,500 no faster.
_INLINE_CHARACTERS = 1_000
# What a text costs beside its length, in code points.
_TEXT_CHARACTERS = 50


def estimate_text_work(texts: Sequence[str]) -> int:
    """The work on texts, for `run_off_loop`: a thousand of one letter are no little work."""
    return sum(map(len, texts)) + _TEXT_CHARACTERS * len(texts)


async def run_off_loop(size: int, work: Callable[[], T]) -> T:
    """Runs `work` over `size` code points of text: at once when that is little, else in a thread."""
    return work() if size <= _INLINE_CHARACTERS else await asyncio.to_thread(work)


async def gather_or_cancel(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all; when one fails or the caller goes, the others are cancelled and waited for.

    One alone is awaited where it is called: a task for it would cost a sentence two turns of the loop, and say nothing.
    """
    coroutines = list(work)
    if len(coroutines) <= 1:
        return [await one for one in coroutines]
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
