"""Text work that nobody waits for any more ends between its parts."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from latimer_server.core.abandonment import Abandoned, require_wanted
from latimer_server.scheduling import TextWorkers


async def test_cancelled_work_ends_between_its_parts(caplog: pytest.LogCaptureFixture) -> None:
    workers = TextWorkers()
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    parts = 0

    def work() -> None:
        nonlocal parts
        began.set()
        go_on.wait(10)
        try:
            for _ in range(1_000):
                require_wanted()
                parts += 1
        finally:
            ended.set()

    task = asyncio.create_task(workers.run(50_000, work, "caller", None, bounded=False))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.to_thread(ended.wait, 10)
    assert parts == 0
    # The thread goes on with the work of others.
    assert await workers.run(50_000, lambda: 7, "other", None, bounded=False) == 7
    workers.close()
    gc.collect()
    assert caplog.text == ""  # asyncio logs errors that nobody looks at


def test_work_outside_of_such_a_context_is_never_abandoned() -> None:
    require_wanted()


def test_abandonment_is_no_result() -> None:
    assert not issubclass(Abandoned, asyncio.CancelledError)
