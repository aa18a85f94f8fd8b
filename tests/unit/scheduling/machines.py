"""Test doubles for the queue: a backend that records its batches, and an executor that runs work on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.scheduling import BatchQueue, ComputeSlot, CorePermits, PreemptibleBatches, TimedHypothesis

GREEDY = DecodingOptions()


class Machine:
    """A backend that echoes its input and records its batches. Its clock `now` advances by `seconds(batch)` per batch.
    A batch that contains a piece for which `fail_on` is true raises RuntimeError."""

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
        cancelled()
        if any(self._fail_on(ids) for ids in batch):
            raise RuntimeError("poison")
        return [Hypothesis(ids, 0.0, truncated=False) for ids in batch]


class HeldExecutor(Executor):
    """An executor that holds submitted work until `finish` runs it in the calling thread."""

    def __init__(self) -> None:
        self.held: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.held.append((future, lambda: fn(*args, **kwargs)))
        return future

    async def finish(self, index: int = 0) -> None:
        """Runs one held piece of work, and lets the tasks that wait for it proceed."""
        future, work = self.held.pop(index)
        future.set_running_or_notify_cancel()
        future.set_result(work())
        await settle()


async def settle() -> None:
    """Lets all tasks of the loop proceed as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def queue_for(machine: Machine, rows: int = 8, tokens: int = 100) -> AsyncIterator[BatchQueue]:
    """Opens a queue that runs one batch at a time in a thread."""
    with ThreadPoolExecutor(1) as executor:
        slot = ComputeSlot(CorePermits(1), executor)
        queue = BatchQueue(machine.run, BatchLimits(50, tokens, rows), slot, lambda: machine.now)
        yield queue
        await queue.close()


@asynccontextmanager
async def held_queue(
    machine: Machine, *, batches: int = 1, cores: int = 0, rows: int = 8, tokens: int = 1_000, preempts: bool = False
) -> AsyncIterator[tuple[BatchQueue, HeldExecutor]]:
    """Opens a queue that runs up to `batches` batches at a time; the yielded executor holds them. `preempts`:
    interactive batches preempt bulk ones."""
    executor = HeldExecutor()
    preemptible = PreemptibleBatches() if preempts else None
    slot = ComputeSlot(CorePermits(cores or batches), executor, batches=batches, preemptible=preemptible)
    queue = BatchQueue(machine.run, BatchLimits(50, tokens, rows), slot, lambda: machine.now)
    yield queue, executor
    await queue.close()


async def run_all(executor: HeldExecutor) -> None:
    """Runs held batches until none is left."""
    await settle()
    while executor.held:
        await executor.finish()


def outcomes(results: Sequence[TimedHypothesis | BaseException]) -> list[TokenIds | type[BaseException]]:
    """Returns the token ids of each successful result and the type of each error."""
    return [result.hypothesis.ids if isinstance(result, TimedHypothesis) else type(result) for result in results]
