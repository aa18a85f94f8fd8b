"""A piece in a queue, who waits for it, and what became of it.

Knows token ids and futures; no order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from latimer_server.core.decoding import DecodingOptions, Hypothesis, TimedHypothesis, TokenIds
from latimer_server.core.errors import DeadlineExceeded

Clock = Callable[[], float]
# A caller and one of its requests.
Owner = tuple[Hashable, Hashable]


@dataclass(frozen=True, eq=False)
class PieceWaiter:
    """Somebody waits for a piece, until `deadline`, since `queued`."""

    future: asyncio.Future[TimedHypothesis] = field(repr=False)
    deadline: float | None
    queued: float

    def settle(self, result: TimedHypothesis | BaseException) -> None:
        """Answers whoever waits, if they still do."""
        if self.future.done():
            return
        if isinstance(result, BaseException):
            # What is no Exception would end the tasks of those who wait, not only their call.
            known = isinstance(result, Exception)
            self.future.set_exception(result if known else RuntimeError(type(result).__name__))
        else:
            self.future.set_result(result)

    def is_open(self, now: float) -> bool:
        """Whether anybody waits who has time left."""
        return not self.future.done() and (self.deadline is None or self.deadline > now)


@dataclass(eq=False)
class WorkItem:
    """A piece: computed once, for all who claim it. `owners`: callers and requests that it counts for. `taken`: it is
    in a batch, and takes no more claims. `forgotten`: it counts no more among those that wait."""

    ids: TokenIds
    options: DecodingOptions
    waiters: list[PieceWaiter] = field(default_factory=list, repr=False)
    owners: set[Owner] = field(default_factory=set, repr=False)
    taken: bool = False
    forgotten: bool = False

    @property
    def deadline(self) -> float | None:
        """When the last of those who still wait stops waiting; None if one never does."""
        deadlines = [waiter.deadline for waiter in self.waiters if not waiter.future.done()]
        return None if None in deadlines or not deadlines else max(d for d in deadlines if d is not None)

    def is_abandoned(self, now: float) -> bool:
        """Whether nobody waits any more, or in vain. Once it is, it stays so. Asked from any thread."""
        return not any(waiter.is_open(now) for waiter in self.waiters)

    def is_wanted(self) -> bool:
        """Whether it waits and somebody waits for it."""
        return not self.taken and not all(waiter.future.done() for waiter in self.waiters)

    def expire(self, end: float) -> None:
        """Tells those whose deadline is not after `end`, when the piece could be done at the earliest."""
        for waiter in self.waiters:
            if waiter.deadline is not None and waiter.deadline <= end:
                waiter.settle(DeadlineExceeded("the deadline leaves no time for the work"))

    def settle(self, hypothesis: Hypothesis, started: float, ended: float) -> None:
        """Answers everybody. Those who came too late for it learn that: their batch may have been cut short."""
        self.expire(ended)
        for waiter in self.waiters:
            waiter.settle(TimedHypothesis(hypothesis, waiter.queued, started, ended))

    def fail(self, error: BaseException) -> None:
        """Tells everybody what went wrong."""
        for waiter in self.waiters:
            waiter.settle(error)
