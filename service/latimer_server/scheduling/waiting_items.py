"""The pieces of one priority that wait: by whose turn it is, which decides what a batch begins with, and by length
and options, which decide what joins it.

Knows entries and sizes of batches; no clock and no cores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.scheduling.fair_share import FairOrder
from latimer_server.scheduling.work_items import PieceWaiter, WorkItem

# Pieces share a batch if the longer one has no more tokens than twice those of the shorter and a few: beside a
# piece of far more tokens a short one would wait for all of them, and save next to nothing.
_LENGTH_RATIO = 2
_LENGTH_SLACK = 8
# Withdrawn pieces that a lane keeps, beside as many as wait, before it looks for them.
_MOST_WITHDRAWN = 1_024

IsWanted = Callable[[WorkItem], bool]


@dataclass(frozen=True)
class Budget:
    """What a batch may be: rows, tokens when padded to the longest row, and tokens without padding, which a batch
    of `least_rows` may pass."""

    rows: int
    padded_tokens: int
    tokens: float
    least_rows: int = 1


class _LengthBuckets:
    """Waiting pieces of one set of options, by their length, the oldest first, and by what they are."""

    def __init__(self) -> None:
        self._by_length: dict[int, deque[WorkItem]] = {}
        self._twins: dict[TokenIds, WorkItem] = {}

    def add(self, item: WorkItem) -> None:
        self._by_length.setdefault(len(item.ids), deque()).append(item)
        self._twins[item.ids] = item

    def find(self, ids: TokenIds) -> WorkItem | None:
        item = self._twins.get(ids)
        return item if item and item.is_wanted() else None

    def forget(self, item: WorkItem) -> bool:
        """Notes that a piece waits no more; whether none is left."""
        if self._twins.get(item.ids) is item:
            del self._twins[item.ids]
        return not self._twins

    def nearest(self, length: int, is_wanted: IsWanted) -> Iterator[WorkItem]:
        """Pieces of about this length, the nearest first, then the oldest. One that is not taken stays."""
        near = [size for size in self._by_length if _are_near(size, length)]
        for size in sorted(near, key=lambda size: abs(size - length)):
            items = self._by_length[size]
            while items:
                if is_wanted(items[0]):
                    yield items[0]
                    if not items[0].taken:
                        return
                items.popleft()
            del self._by_length[size]

    def sweep(self, is_wanted: IsWanted) -> None:
        for size, items in list(self._by_length.items()):
            kept = deque(item for item in items if is_wanted(item))
            if kept:
                self._by_length[size] = kept
            else:
                del self._by_length[size]


class WaitingItems:
    """The pieces of one priority. `count` and `tokens` are of those that wait. `quantum`: the pieces of a turn."""

    def __init__(self, quantum: int) -> None:
        self.count = 0
        self.tokens = 0
        self._quantum = quantum
        self._fair_order = FairOrder(quantum)
        self._buckets: dict[DecodingOptions, _LengthBuckets] = {}
        self._withdrawn = 0

    @property
    def options(self) -> int:
        """The number of different decoding options among the pieces."""
        return len(self._buckets)

    def count_ahead(self, caller: Hashable) -> tuple[int, int]:
        """How many other callers wait, and how many requests of this one."""
        return self._fair_order.count_ahead(caller)

    def add(
        self, ids: TokenIds, options: DecodingOptions, waiter: PieceWaiter, caller: Hashable, request: Hashable
    ) -> None:
        """Puts a piece at its place. One that waits already, for whomever, is claimed once more, and comes as soon
        as either turn does."""
        buckets = self._buckets.setdefault(options, _LengthBuckets())
        item = buckets.find(ids)
        if item is None:
            item = WorkItem(ids, options)
            buckets.add(item)
            self.count += 1
            self.tokens += len(ids)
        item.waiters.append(waiter)
        self._fair_order.add(item, caller, request)
        waiter.future.add_done_callback(lambda _: self._note_done(item))

    def take_head(self, is_wanted: IsWanted) -> WorkItem | None:
        """The piece that the next batch begins with."""
        item = self._fair_order.take(self._check(is_wanted))
        if item is not None:
            self._take(item)
        return item

    def fill(self, head: WorkItem, budget: Budget, is_wanted: IsWanted) -> list[WorkItem]:
        """A batch of `head` and those that waste least padding beside it, whoever's they are."""
        batch, longest, tokens = [head], len(head.ids), len(head.ids)
        buckets = self._buckets.get(head.options)
        for item in buckets.nearest(longest, self._check(is_wanted)) if buckets else ():
            longest = max(longest, len(item.ids))
            tokens += len(item.ids)
            rows = len(batch) + 1
            if rows > budget.rows or longest * rows > budget.padded_tokens:
                break
            if rows > budget.least_rows and tokens > budget.tokens:
                break
            self._take(item)
            batch.append(item)
        return batch

    def drain(self) -> Iterator[WorkItem]:
        """Every piece that waits, taken."""
        while (item := self.take_head(WorkItem.is_wanted)) is not None:
            yield item

    def _check(self, is_wanted: IsWanted) -> IsWanted:
        """The same question; a piece that is wanted no more is counted no more, at once."""

        def check(item: WorkItem) -> bool:
            wanted = is_wanted(item)
            if not wanted:
                self._forget(item)
            return wanted

        return check

    def _take(self, item: WorkItem) -> None:
        item.taken = True
        self._fair_order.count(item)
        self._forget(item)

    def _note_done(self, item: WorkItem) -> None:
        if item.taken or item.forgotten or item.is_wanted():
            return
        self._forget(item)
        self._withdrawn += 1
        if self._withdrawn > _MOST_WITHDRAWN + self.count:
            # Those of a length or of a caller that no batch comes near would stay for good.
            self._withdrawn = 0
            # Some of them may not have told yet that they are withdrawn: what is dropped here is counted no more.
            check = self._check(WorkItem.is_wanted)
            self._fair_order.sweep(check)
            for buckets in list(self._buckets.values()):
                buckets.sweep(check)

    def _forget(self, item: WorkItem) -> None:
        if item.forgotten:
            return
        item.forgotten = True
        self.count -= 1
        self.tokens -= len(item.ids)
        buckets = self._buckets.get(item.options)
        if buckets and buckets.forget(item):
            del self._buckets[item.options]
        if not self.count:
            self._fair_order = FairOrder(self._quantum)


def _are_near(one: int, other: int) -> bool:
    return max(one, other) <= _LENGTH_RATIO * min(one, other) + _LENGTH_SLACK
