"""Waiting items: the waiting pieces of one priority, ordered in two ways.

The order of turns picks the first piece of a batch. Buckets by options and length pick the pieces that join it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Hashable, Iterator

from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.scheduling.batch_policy import BatchBudget, may_share_batch
from latimer_server.scheduling.fair_share import FairOrder
from latimer_server.scheduling.work_items import PieceWaiter, WorkItem

# A withdrawn piece stays in the order of turns and in its bucket, not counted. All are swept out when this many more
# pieces were withdrawn than are waiting.
_MAX_WITHDRAWN = 1_024

IsWanted = Callable[[WorkItem], bool]


class _LengthBuckets:
    """The waiting pieces with one set of decoding options, by length (oldest first) and by token ids."""

    def __init__(self) -> None:
        self._by_length: dict[int, deque[WorkItem]] = {}
        self._by_ids: dict[TokenIds, WorkItem] = {}

    def add(self, item: WorkItem) -> None:
        self._by_length.setdefault(len(item.ids), deque()).append(item)
        self._by_ids[item.ids] = item

    def find(self, ids: TokenIds) -> WorkItem | None:
        item = self._by_ids.get(ids)
        return item if item and item.is_wanted() else None

    def forget(self, item: WorkItem) -> bool:
        """Removes a piece from the index by token ids. Returns True if the index is then empty."""
        if self._by_ids.get(item.ids) is item:
            del self._by_ids[item.ids]
        return not self._by_ids

    def nearest(self, length: int, is_wanted: IsWanted) -> Iterator[WorkItem]:
        """Yields the wanted pieces that may share a batch with one of `length` tokens.

        The nearest length comes first, and the oldest piece of equal lengths. A yielded piece is removed if its `taken`
        is True when the iterator resumes; otherwise iteration ends.
        """
        near_sizes = [size for size in self._by_length if may_share_batch(size, length)]
        for size in sorted(near_sizes, key=lambda size: abs(size - length)):
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
    """The waiting pieces of one priority. `quantum` is the number of pieces in a turn.

    `count` is the number of waiting pieces and `tokens` the sum of their tokens.
    """

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

    @property
    def callers(self) -> int:
        """The number of callers with queued pieces."""
        return self._fair_order.callers

    def count_ahead(self, caller: Hashable) -> tuple[int, int]:
        """Returns how many callers have a turn before a new request of a caller, and how many of its requests wait."""
        return self._fair_order.count_ahead(caller)

    def add(
        self, ids: TokenIds, options: DecodingOptions, waiter: PieceWaiter, caller: Hashable, request: Hashable
    ) -> None:
        """Adds a piece of a request.

        If an equal piece of any caller waits already, `waiter` joins it. That piece is then taken at the earliest turn
        among its owners.
        """
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

    def has_others(self, callers: Container[Hashable]) -> bool:
        """Returns True if another caller than `callers` has queued pieces."""
        return self._fair_order.has_others(callers)

    def take_head(self, is_wanted: IsWanted, blocked: Container[Hashable] = frozenset()) -> WorkItem | None:
        """Removes and returns the first piece of the next batch; None if no wanted piece of a caller that is not
        `blocked` waits."""
        item = self._fair_order.take(self._check(is_wanted), blocked)
        if item is not None:
            self._take(item)
        return item

    def fill(self, head: WorkItem, budget: BatchBudget, is_wanted: IsWanted) -> list[WorkItem]:
        """Returns a batch: `head`, and the pieces of nearest length that `budget` allows, which it removes.

        The pieces have the options of `head` and may belong to any caller. The nearest lengths waste the least padding.
        """
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

    def end_turn(self, head: WorkItem) -> None:
        """Ends the turn of the request that owns the first piece of a batch."""
        self._fair_order.end_turn(head)

    def drain(self) -> Iterator[WorkItem]:
        """Removes and yields every piece that has a pending waiter."""
        while (item := self.take_head(WorkItem.is_wanted)) is not None:
            yield item

    def _check(self, is_wanted: IsWanted) -> IsWanted:
        """Wraps `is_wanted` so that a piece that is not wanted stops being counted at once."""

        def check(item: WorkItem) -> bool:
            item_is_wanted = is_wanted(item)
            if not item_is_wanted:
                self._forget(item)
            return item_is_wanted

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
        if self._withdrawn > _MAX_WITHDRAWN + self.count:
            # Without a sweep, pieces of a length or caller that no batch selects would stay forever.
            self._withdrawn = 0
            # The done callbacks of some withdrawn pieces may not have run yet, so the check must stop counting them.
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
