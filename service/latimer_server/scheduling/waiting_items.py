"""The pieces of one priority that wait: by whose turn it is, which decides what a batch begins with, and by length
and options, which decide what joins it.

Knows entries and sizes of batches; no clock and no cores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.scheduling.fair_share import Turns
from latimer_server.scheduling.work_items import Claim, Entry

# Pieces share a batch if the longer one has no more tokens than twice those of the shorter and a few: beside a
# piece of far more tokens a short one would wait for all of them, and save next to nothing.
_LENGTH_RATIO = 2
_LENGTH_SLACK = 8
# Withdrawn pieces that a lane keeps, beside as many as wait, before it looks for them.
_MOST_WITHDRAWN = 1_024

IsWanted = Callable[[Entry], bool]


@dataclass(frozen=True)
class Budget:
    """What a batch may be: rows, tokens when padded to the longest row, and tokens without padding, which a batch
    of `least_rows` may pass."""

    rows: int
    padded_tokens: int
    tokens: float
    least_rows: int = 1


class _Shelf:
    """Waiting pieces of one set of options, by their length, the oldest first, and by what they are."""

    def __init__(self) -> None:
        self._by_length: dict[int, deque[Entry]] = {}
        self._twins: dict[TokenIds, Entry] = {}

    def add(self, entry: Entry) -> None:
        self._by_length.setdefault(len(entry.ids), deque()).append(entry)
        self._twins[entry.ids] = entry

    def find(self, ids: TokenIds) -> Entry | None:
        entry = self._twins.get(ids)
        return entry if entry and entry.is_wanted() else None

    def forget(self, entry: Entry) -> bool:
        """Notes that a piece waits no more; whether none is left."""
        if self._twins.get(entry.ids) is entry:
            del self._twins[entry.ids]
        return not self._twins

    def nearest(self, length: int, is_wanted: IsWanted) -> Iterator[Entry]:
        """Pieces of about this length, the nearest first, then the oldest. One that is not taken stays."""
        near = [size for size in self._by_length if _are_near(size, length)]
        for size in sorted(near, key=lambda size: abs(size - length)):
            entries = self._by_length[size]
            while entries:
                if is_wanted(entries[0]):
                    yield entries[0]
                    if not entries[0].taken:
                        return
                entries.popleft()
            del self._by_length[size]

    def sweep(self, is_wanted: IsWanted) -> None:
        for size, entries in list(self._by_length.items()):
            kept = deque(entry for entry in entries if is_wanted(entry))
            if kept:
                self._by_length[size] = kept
            else:
                del self._by_length[size]


class Lane:
    """The pieces of one priority. `count` and `tokens` are of those that wait. `quantum`: the pieces of a turn."""

    def __init__(self, quantum: int) -> None:
        self.count = 0
        self.tokens = 0
        self._quantum = quantum
        self._turns = Turns(quantum)
        self._shelves: dict[DecodingOptions, _Shelf] = {}
        self._withdrawn = 0

    def count_before(self, caller: Hashable) -> tuple[int, int]:
        """How many other callers wait, and how many requests of this one."""
        return self._turns.count_before(caller)

    def add(self, ids: TokenIds, options: DecodingOptions, claim: Claim, caller: Hashable, request: Hashable) -> None:
        """Puts a piece at its place. One that waits already, for whomever, is claimed once more, and comes as soon
        as either turn does."""
        shelf = self._shelves.setdefault(options, _Shelf())
        entry = shelf.find(ids)
        if entry is None:
            entry = Entry(ids, options)
            shelf.add(entry)
            self.count += 1
            self.tokens += len(ids)
        entry.claims.append(claim)
        self._turns.add(entry, caller, request)
        claim.future.add_done_callback(lambda _: self._note_done(entry))

    def take_head(self, is_wanted: IsWanted) -> Entry | None:
        """The piece that the next batch begins with."""
        entry = self._turns.take(self._check(is_wanted))
        if entry is not None:
            self._take(entry)
        return entry

    def fill(self, head: Entry, budget: Budget, is_wanted: IsWanted) -> list[Entry]:
        """A batch of `head` and those that waste least padding beside it, whoever's they are."""
        batch, longest, tokens = [head], len(head.ids), len(head.ids)
        shelf = self._shelves.get(head.options)
        for entry in shelf.nearest(longest, self._check(is_wanted)) if shelf else ():
            longest = max(longest, len(entry.ids))
            tokens += len(entry.ids)
            rows = len(batch) + 1
            if rows > budget.rows or longest * rows > budget.padded_tokens:
                break
            if rows > budget.least_rows and tokens > budget.tokens:
                break
            self._take(entry)
            batch.append(entry)
        return batch

    def drain(self) -> Iterator[Entry]:
        """Every piece that waits, taken."""
        while (entry := self.take_head(Entry.is_wanted)) is not None:
            yield entry

    def _check(self, is_wanted: IsWanted) -> IsWanted:
        """The same question; a piece that is wanted no more is counted no more, at once."""

        def check(entry: Entry) -> bool:
            wanted = is_wanted(entry)
            if not wanted:
                self._forget(entry)
            return wanted

        return check

    def _take(self, entry: Entry) -> None:
        entry.taken = True
        self._turns.count(entry)
        self._forget(entry)

    def _note_done(self, entry: Entry) -> None:
        if entry.taken or entry.forgotten or entry.is_wanted():
            return
        self._forget(entry)
        self._withdrawn += 1
        if self._withdrawn > _MOST_WITHDRAWN + self.count:
            # Those of a length or of a caller that no batch comes near would stay for good.
            self._withdrawn = 0
            # Some of them may not have told yet that they are withdrawn: what is dropped here is counted no more.
            check = self._check(Entry.is_wanted)
            self._turns.sweep(check)
            for shelf in list(self._shelves.values()):
                shelf.sweep(check)

    def _forget(self, entry: Entry) -> None:
        if entry.forgotten:
            return
        entry.forgotten = True
        self.count -= 1
        self.tokens -= len(entry.ids)
        shelf = self._shelves.get(entry.options)
        if shelf and shelf.forget(entry):
            del self._shelves[entry.options]
        if not self.count:
            self._turns = Turns(self._quantum)


def _are_near(one: int, other: int) -> bool:
    return max(one, other) <= _LENGTH_RATIO * min(one, other) + _LENGTH_SLACK
