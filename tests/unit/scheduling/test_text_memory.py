"""Text memory: long texts in work are bounded together, callers take turns, and short texts do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from latimer_server.scheduling.text_memory import TextMemory

LARGE, BOUND = 30 << 20, 100 << 20


class Texts:
    """Texts that hold memory until they are released. `begun`: their names in the order in which they began."""

    def __init__(self) -> None:
        self.memory = TextMemory(BOUND)
        self.begun: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def start(self, name: str, caller: Hashable, size: int = LARGE) -> None:
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, caller, size))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)

    async def _hold(self, name: str, caller: Hashable, size: int) -> None:
        async with self.memory.hold(size, caller):
            self.begun.append(name)
            await self._ends[name].wait()


async def test_long_texts_wait_until_there_is_room() -> None:
    texts = Texts()
    for name in "abcde":
        await texts.start(name, name)
    assert texts.begun == ["a", "b", "c"]
    await texts.end("b")
    assert texts.begun == ["a", "b", "c", "d"]
    for name in "acd":
        await texts.end(name)
    await texts.end("e")


async def test_callers_take_turns() -> None:
    texts = Texts()
    for name in ("a1", "a2", "a3", "a4", "a5", "b1"):
        await texts.start(name, name[0])
    for name in ("a1", "a2", "a3"):
        await texts.end(name)
    assert texts.begun.index("b1") < texts.begun.index("a5")
    for name in ("a4", "b1", "a5"):
        await texts.end(name)


async def test_short_texts_do_not_wait_for_long_ones() -> None:
    texts = Texts()
    for name in "abcd":
        await texts.start(name, name)
    await texts.start("small", "s", 4 << 20)
    await texts.start("tiny", "t", 1_000)
    assert texts.begun == ["a", "b", "c", "small", "tiny"]
    for name in ("small", "tiny", "a", "b", "c", "d"):
        await texts.end(name)


async def test_a_text_above_the_bound_is_in_work_alone() -> None:
    texts = Texts()
    await texts.start("a", "a")
    await texts.start("huge", "h", 10 * BOUND)
    assert texts.begun == ["a"]
    await texts.end("a")
    assert texts.begun == ["a", "huge"]
    await texts.end("huge")


async def test_a_cancelled_text_holds_nothing() -> None:
    texts = Texts()
    for name in "abcde":
        await texts.start(name, name)
    for name in ("d", "a"):  # one that waits, and one in work
        texts.tasks[name].cancel()
        await asyncio.gather(texts.tasks[name], return_exceptions=True)
    await asyncio.sleep(0)
    assert texts.begun == ["a", "b", "c", "e"]
    for name in "bce":
        await texts.end(name)
    await texts.start("f", "f", BOUND)
    assert texts.begun[-1] == "f"
    await texts.end("f")
