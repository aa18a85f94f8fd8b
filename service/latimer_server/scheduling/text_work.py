"""Work on texts off the event loop, in turns by caller.

Segmentation, markup and checks hold Python's interpreter lock. A thread for each of them would let one caller's long
texts starve the event loop and every other caller. So there are two lanes: one for short work and one for long. In
each one piece of work runs at a time, and its callers get equal shares of the time. Work that takes long lets others
have a turn between two of its parts (`core/abandonment.py`).
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

from latimer_server.core.abandonment import set_abandonment
from latimer_server.core.callers import find_group
from latimer_server.core.errors import DeadlineExceeded, OverloadBound, Overloaded
from latimer_server.scheduling.text_memory import TextMemory
from latimer_server.scheduling.time_shares import GroupedTimeShares
from latimer_server.scheduling.work_items import Clock

T = TypeVar("T")
# Work on fewer code points runs on the event loop; nearly every paragraph is shorter. A call gets here some ten times,
# and for such short texts a thread costs more than the work, because it waits for the interpreter lock. Inline work
# delays every other call: with 500 paragraphs were a sixth slower, with 2,500 they were no faster.
_INLINE_CHARACTERS = 1_000
# Fixed cost of one text, expressed in code points.
_TEXT_CHARACTERS = 50
# Work on more code points is long.
_LONG_CHARACTERS = 20_000
# Bounds on the code points that wait, of all callers and of one: some 60 and 20 requests of the largest size.
MAX_WAITING_CHARACTERS = 128_000_000
MAX_CALLER_CHARACTERS = 48_000_000
_RETRY_SECONDS = 1.0
# A lane forgets callers without waiting work after so many turns.
_FORGET_EVERY = 256
# Work of another caller waits no longer than this for the next part of the work that has the turn. A change of turns
# takes some 0.1 ms.
_TURN_SECONDS = 0.05
# Work that has begun and waits for its next turn holds a thread and its intermediate results.
_MOST_BEGUN = 8
# The callers of one group together.
_MOST_BEGUN_OF_GROUP = 4
# How often work that waits for its next turn looks whether the lane is closed.
_CLOSE_SECONDS = 1.0


def estimate_text_work(texts: Sequence[str]) -> int:
    """Returns the cost of work on texts, in code points, as the `size` of `TextWork.run`.

    Every text adds a fixed cost, because a thousand texts of one letter are expensive too.
    """
    return sum(map(len, texts)) + _TEXT_CHARACTERS * len(texts)


@dataclass(eq=False)
class _Item:
    """A place in the queue. `deadline`: a reading of the clock; work that is not begun by then is refused. `turn`: set
    while the work has the turn; its thread waits for it. `turn_began`: a reading of the clock.

    The work itself is not in it: the context of the work refers to this object, and both would form a cycle.
    """

    size: int
    caller: Hashable
    deadline: float | None
    future: asyncio.Future[Any]
    turn: threading.Event = field(default_factory=threading.Event)
    turn_began: float = 0.0
    has_begun: bool = False


class _Lane:
    """Work of which one piece runs at a time. The callers get equal shares of the time: with turns alone, a caller of
    short work would wait for a whole turn of each caller of long work. Used from the event loop only, but for
    `rest`.

    Each piece that has begun has a thread. A caller has at most one, the callers of a group (see `find_group`) have
    `_MOST_BEGUN_OF_GROUP`, and all together `_MOST_BEGUN`.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._threads = ThreadPoolExecutor(_MOST_BEGUN, name)
        self._clock = clock
        self._by_caller: OrderedDict[Hashable, deque[_Item]] = OrderedDict()
        self._work: dict[_Item, Callable[[], Any]] = {}
        self._characters: Counter[Hashable] = Counter()  # by group
        self._shares = GroupedTimeShares()
        self._taken = 0
        self._begun: Counter[Hashable] = Counter()  # by group
        self._running = False
        self._closed = False

    def require_place(self, item: _Item) -> None:
        """Raises `Overloaded` if too much text waits."""
        if self._characters[find_group(item.caller)] + item.size > MAX_CALLER_CHARACTERS:
            raise Overloaded(
                f"texts of this caller wait with {MAX_CALLER_CHARACTERS} characters",
                _RETRY_SECONDS,
                OverloadBound.TEXTS,
            )
        if self._characters.total() + item.size > MAX_WAITING_CHARACTERS:
            raise Overloaded(
                f"texts with {MAX_WAITING_CHARACTERS} characters wait", _RETRY_SECONDS, OverloadBound.TEXTS
            )

    def add(self, item: _Item, work: Callable[[], Any]) -> None:
        self._work[item] = work
        if item.caller not in self._by_caller:
            self._shares.add(item.caller)
        self._by_caller.setdefault(item.caller, deque()).append(item)
        self._characters[find_group(item.caller)] += item.size
        if not self._running:
            self._start_next()

    def rest(self, item: _Item, loop: asyncio.AbstractEventLoop) -> bool:
        """Lets other callers have a turn if the work has run for long. Returns True if nobody waits for the work.

        The thread of the work calls it between two parts, and waits in it for the next turn.
        """
        is_due = self._by_caller and self._clock() - item.turn_began >= _TURN_SECONDS
        if is_due and not item.future.done() and not self._closed:
            item.turn.clear()
            loop.call_soon_threadsafe(self._pause, item)
            # A loop that has ended gives no more turns.
            while not item.turn.wait(_CLOSE_SECONDS) and not self._closed:
                pass
        return item.future.done() or self._closed

    def close(self) -> None:
        """Abandons the work that waits for its next turn, and leaves running work to its end."""
        self._closed = True
        for items in self._by_caller.values():
            items[0].turn.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _start_next(self) -> None:
        item = None if self._closed else self._take()
        self._running = item is not None
        if item is None:
            return
        item.turn_began = self._clock()
        if item.has_begun:
            item.turn.set()
            return
        item.has_begun = True
        self._begun[find_group(item.caller)] += 1
        done = asyncio.get_running_loop().run_in_executor(self._threads, self._work.pop(item))
        done.add_done_callback(lambda ended: self._finish(item, ended))

    def _take(self) -> _Item | None:
        """Takes the oldest work of the caller that is next. Abandoned work and work past its deadline is dropped if it
        has not begun."""
        while waiting := self._list_startable():
            caller = self._shares.choose(waiting)
            items = self._by_caller[caller]
            item = items.popleft()
            if not items:
                del self._by_caller[caller]
            if not item.has_begun:
                _subtract(self._characters, find_group(caller), item.size)
                if item.future.done():
                    del self._work[item]
                    continue
                if item.deadline is not None and item.deadline <= self._clock():
                    del self._work[item]
                    item.future.set_exception(DeadlineExceeded("the deadline passed before the work on the text began"))
                    continue
            self._taken += 1
            if self._taken % _FORGET_EVERY == 0:
                self._shares.forget(self._by_caller)
            return item
        return None

    def _list_startable(self) -> Iterable[Hashable]:
        """Returns the callers whose next work may have a turn: while all threads, or those of their group, are held,
        those whose work has begun."""
        may_begin = self._begun.total() < _MOST_BEGUN
        return [
            caller
            for caller, items in self._by_caller.items()
            if items[0].has_begun or (may_begin and self._begun[find_group(caller)] < _MOST_BEGUN_OF_GROUP)
        ]

    def _pause(self, item: _Item) -> None:
        """Ends the turn of work that is not done."""
        self._shares.charge(item.caller, self._clock() - item.turn_began)
        self._by_caller.setdefault(item.caller, deque()).appendleft(item)
        self._start_next()

    def _finish(self, item: _Item, ended: asyncio.Future[Any]) -> None:
        _subtract(self._begun, find_group(item.caller), 1)
        self._shares.charge(item.caller, self._clock() - item.turn_began)
        error = None if ended.cancelled() else ended.exception()
        if not item.future.done():
            if ended.cancelled():
                item.future.cancel()
            elif error is not None:
                item.future.set_exception(error)
            else:
                item.future.set_result(ended.result())
        self._start_next()


def _subtract(counts: Counter[Hashable], name: Hashable, count: int) -> None:
    counts[name] -= count
    if not counts[name]:
        del counts[name]


class TextWorkers:
    """The threads for work on texts. `close` leaves running work to its end."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._short = _Lane("text", clock)
        self._long = _Lane("long-text", clock)
        self._memory = TextMemory()

    async def run(
        self, size: int, work: Callable[[], T], caller: Hashable, deadline: float | None, *, bounded: bool
    ) -> T:
        """Runs work over `size` code points in the thread of its length, with the caller's context variables.

        Raises what the work raises, `DeadlineExceeded` if it is not begun by the deadline, and if it is `bounded`
        `Overloaded` if too much text waits. Cancelling the caller withdraws work that has not begun.
        """
        item = self._add(size, work, caller, deadline, bounded=bounded)
        try:
            return cast(T, await item.future)
        finally:
            # The traceback of an error has this frame, and the future has the error.
            del item

    def _add(
        self, size: int, work: Callable[[], Any], caller: Hashable, deadline: float | None, *, bounded: bool
    ) -> _Item:
        loop = asyncio.get_running_loop()
        lane = self._long if size > _LONG_CHARACTERS else self._short
        item = _Item(size, caller, deadline, loop.create_future())
        if bounded:
            lane.require_place(item)
        context = contextvars.copy_context()
        context.run(set_abandonment, partial(lane.rest, item, loop))
        lane.add(item, partial(context.run, work))
        return item

    def hold_memory(self, size: int, caller: Hashable) -> AbstractAsyncContextManager[None]:
        """Waits for room for texts that take `size` bytes in work; see `TextMemory.hold`."""
        return self._memory.hold(size, caller)

    def close(self) -> None:
        """Ends the threads once they are idle."""
        self._short.close()
        self._long.close()


@dataclass(frozen=True)
class TextWork:
    """The work on texts of one request: who it counts for, and until when it may begin. Without `workers` it runs
    inline."""

    workers: TextWorkers | None = None
    caller: Hashable = None
    deadline: float | None = None

    async def start(self, size: int, work: Callable[[], T]) -> T:
        """Runs the first work of a request as `run` does. Raises `Overloaded` if too much text waits. `run` does not,
        because a request that has begun would lose the work that is done."""
        return await self._run(size, work, bounded=True)

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """Runs `work` over `size` code points: inline up to 1,000 code points, otherwise in a thread. Raises what the
        work raises, and `DeadlineExceeded` if it is not begun by the deadline."""
        return await self._run(size, work, bounded=False)

    def hold_memory(self, size: int) -> AbstractAsyncContextManager[None]:
        """Waits for room for texts that take `size` bytes in work, and holds it until the context ends."""
        return self.workers.hold_memory(size, self.caller) if self.workers else nullcontext()

    async def _run(self, size: int, work: Callable[[], T], *, bounded: bool) -> T:
        if self.workers is None or size <= _INLINE_CHARACTERS:
            return work()
        return await self.workers.run(size, work, self.caller, self.deadline, bounded=bounded)
