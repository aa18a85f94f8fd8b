"""Work on texts off the event loop: short and long apart, callers in turns, within bounds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial

import pytest

from latimer_server.core.abandonment import Abandoned, require_wanted
from latimer_server.core.errors import DeadlineExceeded, Overloaded
from latimer_server.scheduling import TextWork, TextWorkers, estimate_text_work
from latimer_server.scheduling.text_work import MAX_CALLER_CHARACTERS
from tests.streams import until

SHORT, LONG = 2_000, 500_000


@pytest.fixture
def workers() -> Iterator[TextWorkers]:
    made = TextWorkers()
    yield made
    made.close()


class Gate:
    """Work that blocks its thread until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def work(self) -> None:
        self.entered.set()
        assert self.opened.wait(10)


@pytest.mark.parametrize(("characters", "here"), [(5, True), (400, True), (1_000, False)])
async def test_a_sentence_is_processed_in_the_loop_and_a_paragraph_in_a_thread(
    workers: TextWorkers, characters: int, here: bool
) -> None:
    thread = await TextWork(workers).run(estimate_text_work(["x" * characters]), threading.get_ident)
    assert (thread == threading.get_ident()) is here


async def test_many_short_texts_are_processed_in_a_thread(workers: TextWorkers) -> None:
    assert await TextWork(workers).run(estimate_text_work(["x"] * 20), threading.get_ident) != threading.get_ident()


async def test_short_work_does_not_wait_for_long_work(workers: TextWorkers) -> None:
    gate = Gate()
    long = asyncio.ensure_future(TextWork(workers, "one").run(LONG, gate.work))
    await asyncio.to_thread(gate.entered.wait, 10)
    assert await TextWork(workers, "two").run(SHORT, lambda: "done") == "done"
    gate.opened.set()
    await long


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def order_of(waiting: list[tuple[str, str, float]], size: int) -> list[str]:
    """Returns the names of work in the order in which it is done. Each has a caller, a name and its seconds, and is
    queued behind work of the caller `many` that takes one second."""
    clock, gate, order = Clock(), Gate(), list[str]()
    workers = TextWorkers(clock)

    def work(name: str, seconds: float) -> None:
        order.append(name)
        clock.now += seconds

    def begin() -> None:
        gate.work()
        clock.now += 1.0

    first = asyncio.ensure_future(TextWork(workers, "many").run(size, begin))
    await asyncio.to_thread(gate.entered.wait, 10)
    others = [
        asyncio.ensure_future(TextWork(workers, caller).run(size, partial(work, name, seconds)))
        for caller, name, seconds in waiting
    ]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, *others)
    workers.close()
    return order


@pytest.mark.parametrize("size", [SHORT, LONG])
async def test_callers_take_turns(size: int) -> None:
    waiting = [("many", "m1", 1.0), ("many", "m2", 1.0), ("many", "m3", 1.0), ("one", "o1", 1.0), ("one", "o2", 1.0)]
    assert await order_of(waiting, size) == ["o1", "m1", "o2", "m2", "m3"]


@pytest.mark.parametrize("size", [SHORT, LONG])
async def test_a_caller_of_long_work_waits_for_those_of_short_work(size: int) -> None:
    long = [("many", f"m{number}", 3.0) for number in range(3)]
    short = [("one", f"o{number}", 0.5) for number in range(6)]
    assert await order_of(long + short, size) == ["o0", "o1", "m0", "o2", "o3", "o4", "o5", "m1", "m2"]


class DividedWork:
    """Work in three parts of a second each. `order`: gets the name of each part."""

    def __init__(self, order: list[str], clock: Clock) -> None:
        self.gate = Gate()
        self._order = order
        self._clock = clock

    def work(self) -> None:
        self.gate.work()
        for part in range(3):
            self._order.append(f"part {part}")
            self._clock.now += 1.0
            require_wanted()


@pytest.mark.parametrize("size", [SHORT, LONG])
async def test_long_work_lets_others_have_a_turn_between_its_parts(size: int) -> None:
    clock, order = Clock(), list[str]()
    workers, divided = TextWorkers(clock), DividedWork(order, clock)
    long = asyncio.ensure_future(TextWork(workers, "one").run(size, divided.work))
    await asyncio.to_thread(divided.gate.entered.wait, 10)
    other = asyncio.ensure_future(TextWork(workers, "two").run(size, lambda: order.append("other")))
    await asyncio.sleep(0)
    divided.gate.opened.set()
    await asyncio.gather(long, other)
    assert order == ["part 0", "other", "part 1", "part 2"]
    workers.close()


@pytest.mark.parametrize("closes", [True, False])
async def test_work_that_waits_for_its_next_turn_ends_with_its_caller_and_with_the_server(closes: bool) -> None:
    clock, order, gate, ended = Clock(), list[str](), Gate(), list[BaseException]()
    workers, divided = TextWorkers(clock), DividedWork(order, clock)

    def work() -> None:
        try:
            divided.work()
        except Abandoned as error:
            ended.append(error)
            raise

    long = asyncio.ensure_future(TextWork(workers, "one").run(LONG, work))
    await asyncio.to_thread(divided.gate.entered.wait, 10)
    other = asyncio.ensure_future(TextWork(workers, "two").run(LONG, gate.work))
    await asyncio.sleep(0)
    divided.gate.opened.set()
    await asyncio.to_thread(gate.entered.wait, 10)
    if closes:
        workers.close()
    else:
        long.cancel()
    gate.opened.set()
    await other
    await asyncio.gather(long, return_exceptions=True)
    await until(lambda: bool(ended))
    assert order == ["part 0"]
    workers.close()


async def test_more_callers_than_threads_are_all_served() -> None:
    clock, order = Clock(), list[str]()
    workers = TextWorkers(clock)
    works = [DividedWork(order, clock) for _ in range(20)]
    for divided in works:
        divided.gate.opened.set()
    await asyncio.gather(
        *(TextWork(workers, str(number)).run(LONG, divided.work) for number, divided in enumerate(works))
    )
    assert len(order) == 60
    workers.close()


async def test_work_past_its_deadline_is_not_begun() -> None:
    now = 0.0
    workers = TextWorkers(lambda: now)
    gate, begun = Gate(), list[int]()
    first = asyncio.ensure_future(TextWork(workers, "one").run(SHORT, gate.work))
    await asyncio.to_thread(gate.entered.wait, 10)
    late = asyncio.ensure_future(TextWork(workers, "two", deadline=5.0).run(SHORT, lambda: begun.append(1)))
    await asyncio.sleep(0)
    now = 6.0
    gate.opened.set()
    await first
    with pytest.raises(DeadlineExceeded):
        await late
    assert not begun
    workers.close()


async def test_withdrawn_work_is_not_begun(workers: TextWorkers) -> None:
    gate, begun = Gate(), list[int]()
    first = asyncio.ensure_future(TextWork(workers, "one").run(SHORT, gate.work))
    await asyncio.to_thread(gate.entered.wait, 10)
    gone = asyncio.ensure_future(TextWork(workers, "two").run(SHORT, lambda: begun.append(1)))
    await asyncio.sleep(0)
    gone.cancel()
    gate.opened.set()
    await first
    assert await TextWork(workers, "two").run(SHORT, lambda: "next") == "next"
    assert not begun


async def test_too_much_text_of_one_caller_is_refused_and_of_another_is_not(workers: TextWorkers) -> None:
    gate = Gate()
    first = asyncio.ensure_future(TextWork(workers, "one").start(LONG, gate.work))
    await asyncio.to_thread(gate.entered.wait, 10)
    waiting = asyncio.ensure_future(TextWork(workers, "one").start(MAX_CALLER_CHARACTERS, lambda: None))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await TextWork(workers, "one").start(LONG, lambda: None)
    other = asyncio.ensure_future(TextWork(workers, "two").start(LONG, lambda: "done"))
    gate.opened.set()
    assert await other == "done"
    await asyncio.gather(first, waiting)


async def test_a_request_that_has_begun_is_finished_however_much_text_waits(workers: TextWorkers) -> None:
    gate = Gate()
    first = asyncio.ensure_future(TextWork(workers, "one").start(LONG, gate.work))
    await asyncio.to_thread(gate.entered.wait, 10)
    waiting = asyncio.ensure_future(TextWork(workers, "one").start(MAX_CALLER_CHARACTERS, lambda: None))
    later = asyncio.ensure_future(TextWork(workers, "one").run(LONG, lambda: "later"))
    await asyncio.sleep(0)
    gate.opened.set()
    assert await later == "later"
    await asyncio.gather(first, waiting)


async def test_work_in_a_thread_sees_the_context_of_its_request(workers: TextWorkers) -> None:
    name: ContextVar[str] = ContextVar("name", default="")
    name.set("mine")
    for size in (1, SHORT, LONG):
        assert await TextWork(workers).run(size, name.get) == "mine"


async def test_what_the_work_raises_is_raised_and_the_next_work_goes_on(workers: TextWorkers) -> None:
    def fail() -> None:
        raise KeyError("text")

    with pytest.raises(KeyError):
        await TextWork(workers).run(SHORT, fail)
    assert await TextWork(workers).run(SHORT, lambda: 1) == 1
