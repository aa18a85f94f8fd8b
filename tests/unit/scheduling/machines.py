"""Backends that note what they are asked, executors that run it when they are told to, and queues before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.scheduling import BatchQueue, ComputeSlot, CorePermits, TimedHypothesis

GREEDY = DecodingOptions()


class Machine:
    """Runs batches at once; time stands still unless moved. `seconds`: what a batch takes of that time."""

    def __init__(
        self,
        fail_on: Callable[[TokenIds], bool] = lambda ids: False,
        seconds: Callable[[Sequence[TokenIds]], float] = lambda batch: 0.0,
    ) -> None:
        self.batches: list[list[TokenIds]] = []
        self.now = 0.0
        self._fail_on = fail_on
        self._seconds = seconds

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.batches.append(list(batch))
        self.now += self._seconds(batch)
        if any(self._fail_on(ids) for ids in batch):
            raise RuntimeError("poison")
        return [Hypothesis(ids, 0.0, truncated=False) for ids in batch]


class HeldExecutor(Executor):
    """Runs what it was given when it is told to, in the thread that tells it."""

    def __init__(self) -> None:
        self.held: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.held.append((future, lambda: fn(*args, **kwargs)))
        return future

    async def finish(self, index: int = 0) -> None:
        """Runs one, and lets everybody who waits for it go on."""
        future, work = self.held.pop(index)
        future.set_running_or_notify_cancel()
        future.set_result(work())
        await settle()


async def settle() -> None:
    """Lets everybody go on who can."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def queue_for(machine: Machine, rows: int = 8, tokens: int = 100) -> AsyncIterator[BatchQueue]:
    """A queue that runs one batch at a time, in a thread."""
    with ThreadPoolExecutor(1) as executor:
        slot = ComputeSlot(CorePermits(1), executor)
        queue = BatchQueue(machine.run, BatchLimits(50, tokens, rows), slot, lambda: machine.now)
        yield queue
        await queue.close()


@asynccontextmanager
async def held_queue(
    machine: Machine, *, batches: int = 1, cores: int = 0, rows: int = 8, tokens: int = 1_000
) -> AsyncIterator[tuple[BatchQueue, HeldExecutor]]:
    """A queue of `batches` batches at a time, whose batches wait until they are told to run."""
    executor = HeldExecutor()
    slot = ComputeSlot(CorePermits(cores or batches), executor, batches=batches)
    queue = BatchQueue(machine.run, BatchLimits(50, tokens, rows), slot, lambda: machine.now)
    yield queue, executor
    await queue.close()


async def run_all(executor: HeldExecutor) -> None:
    """Runs batches until there are none."""
    await settle()
    while executor.held:
        await executor.finish()


def outcomes(results: Sequence[TimedHypothesis | BaseException]) -> list[TokenIds | type[BaseException]]:
    """Of each result what it is: the ids that came out, or the kind of error."""
    return [one.hypothesis.ids if isinstance(one, TimedHypothesis) else type(one) for one in results]
