"""Work items: a queued piece, the callers that wait for it, its result, and the batch that it joins."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from latimer_server.core.decoding import DecodingOptions, Hypothesis, TimedHypothesis, TokenIds
from latimer_server.core.errors import DeadlineExceeded
from latimer_server.core.telemetry import Trace
from latimer_server.scheduling.piece_size import count_tokens
from latimer_server.scheduling.priority import Priority

Clock = Callable[[], float]
# The identities of a caller and of one of its requests, by which `FairOrder` counts turns.
Owner = tuple[Hashable, Hashable]


@dataclass(frozen=True, eq=False)
class PieceWaiter:
    """The future of one submission of a piece.

    `queued` is the time of the submission, and `deadline` the time after which the caller no longer waits (None: no
    deadline). Both are clock readings in seconds. `trace`: the span of the call, None if it is not recorded.
    """

    future: asyncio.Future[TimedHypothesis] = field(repr=False)
    deadline: float | None
    queued: float
    trace: Trace | None = None

    def settle(self, result: TimedHypothesis | BaseException) -> None:
        """Sets the result or the error of the future, unless it is done already."""
        if self.future.done():
            return
        if isinstance(result, BaseException):
            # A BaseException such as KeyboardInterrupt would end the caller's task, not only its call.
            is_plain = isinstance(result, Exception)
            self.future.set_exception(result if is_plain else RuntimeError(type(result).__name__))
        else:
            self.future.set_result(result)

    def is_open(self, now: float) -> bool:
        """True if the future is pending and its deadline is later than `now`."""
        return not self.future.done() and (self.deadline is None or self.deadline > now)


@dataclass(eq=False)
class WorkItem:
    """A piece that is computed once for all of its waiters.

    `owners` are the callers and requests whose turns it counts against. `taken`: the piece is in a batch and accepts no
    more waiters. `forgotten`: the piece is no longer counted as waiting.
    """

    ids: TokenIds
    options: DecodingOptions
    waiters: list[PieceWaiter] = field(default_factory=list, repr=False)
    owners: set[Owner] = field(default_factory=set, repr=False)
    taken: bool = False
    forgotten: bool = False

    @property
    def deadline(self) -> float | None:
        """The latest deadline of the pending waiters; None if one of them has no deadline, or if none is pending."""
        deadlines = [waiter.deadline for waiter in self.waiters if not waiter.future.done()]
        return None if None in deadlines or not deadlines else max(d for d in deadlines if d is not None)

    def is_abandoned(self, now: float) -> bool:
        """True if every waiter is done or has reached its deadline at `now`.

        For a taken piece, the value stays True once it is True. May be called from any thread.
        """
        return not any(waiter.is_open(now) for waiter in self.waiters)

    def is_wanted(self) -> bool:
        """True if the piece is not taken and a waiter is pending."""
        return not self.taken and not all(waiter.future.done() for waiter in self.waiters)

    def expire(self, end: float) -> None:
        """Fails with `DeadlineExceeded` every pending waiter whose deadline is at or before `end`.

        `end` is a clock reading: the actual end of the computation, or its earliest possible end.
        """
        for waiter in self.waiters:
            if waiter.deadline is not None and waiter.deadline <= end:
                waiter.settle(DeadlineExceeded("the deadline leaves no time for the work; set a later deadline"))

    def settle(self, hypothesis: Hypothesis, started: float, ended: float) -> None:
        """Sets the result of every pending waiter: `hypothesis`, with the times of its batch.

        `started` and `ended` are clock readings in seconds. Waiters whose deadline is at or before `ended` get
        `DeadlineExceeded` instead, because the batch may have been cut short.
        """
        self.expire(ended)
        for waiter in self.waiters:
            waiter.settle(TimedHypothesis(hypothesis, waiter.queued, started, ended))

    def fail(self, error: BaseException) -> None:
        """Sets `error` as the result of every pending waiter."""
        for waiter in self.waiters:
            waiter.settle(error)


@dataclass(frozen=True)
class Batch:
    """The pieces of one batch.

    `full`: further pieces stayed in the queue when these were taken. `is_preemptible`: interactive batches may run
    while this one pauses (see `preemption`).
    """

    items: tuple[WorkItem, ...] = ()
    full: bool = False
    priority: Priority = Priority.INTERACTIVE
    is_preemptible: bool = False

    @property
    def longest(self) -> int:
        """The tokens of the longest piece."""
        return max((len(item.ids) for item in self.items), default=0)

    @property
    def callers(self) -> frozenset[Hashable]:
        """The callers of the pieces."""
        return frozenset(caller for item in self.items for caller, _ in item.owners)

    @property
    def served_tokens(self) -> int:
        """The tokens of the batch (see `piece_size`), a piece with several waiters counted for each of them."""
        return sum(count_tokens(item.ids) * len(item.waiters) for item in self.items)

    @property
    def needed_until(self) -> float:
        """The latest deadline of the pending waiters of all pieces: infinite if one of them has no deadline, and minus
        infinite if none is pending."""
        waiters = (waiter for item in self.items for waiter in item.waiters if not waiter.future.done())
        return max((math.inf if w.deadline is None else w.deadline for w in waiters), default=-math.inf)

    def is_abandoned(self, now: float) -> bool:
        """True if every piece is abandoned at `now`. May be called from any thread."""
        return all(item.is_abandoned(now) for item in self.items)
