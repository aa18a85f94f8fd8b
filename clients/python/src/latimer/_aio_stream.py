"""Runs a stream for the asynchronous client: `_stream` with tasks.

Knows calls and tasks; what is sent and what it comes to is `_ledger`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Any

import grpc

from latimer import _channel, types
from latimer._ledger import Ledger, late_error
from latimer.errors import CancelledError, ConnectionFailedError, LatimerError

OpenCall = Callable[[], Any]
# What gRPC says where a write fails because the call is over, in the place of why it is (grpc/grpc issue 36066). What
# ended it is then told on the next call.
_STATUS_LOST = "Internal error from Core"
# Items of an iterable that does not await are taken so many at a time.
_AT_A_TIME = 128


async def run_stream(
    open_call: OpenCall, items: Iterable[object] | AsyncIterable[object], ledger: Ledger, patience: float | None
) -> AsyncGenerator[types.TranslatedItem, None]:
    """The results of the items. `patience`: the most seconds without an answer while one is owed."""
    stream = _Stream(open_call, items, ledger)
    try:
        stream.start()
        while (result := await stream.next_result(patience)) is not None:
            yield result
    finally:
        await stream.close()


class _Stream:
    """Each event is what one of the tasks waits for."""

    def __init__(self, open_call: OpenCall, items: Iterable[object] | AsyncIterable[object], ledger: Ledger) -> None:
        self._open_call = open_call
        self._items = items
        self._ledger = ledger
        self._room = asyncio.Event()
        self._work = asyncio.Event()
        self._news = asyncio.Event()
        self._given = asyncio.Event()
        self._call: Any = None
        self._end: LatimerError | bool = False  # how the call ended; True: well
        self._fault: BaseException | None = None  # what the caller's iterable raised
        self._taking: asyncio.Task[None] | None = None
        self._calling: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to take items, and the first call."""
        self._taking = asyncio.ensure_future(self._take_items())
        self._begin_call()

    async def next_result(self, patience: float | None) -> types.TranslatedItem | None:
        """Waits for a result; None after the last."""
        while True:
            if (result := self._ledger.give()) is not None:
                return result
            self._room.set()
            self._given.set()
            if self._end is False:
                is_owed = self._ledger.is_owed
                if not await _wait(self._news, patience) and is_owed:
                    raise late_error(patience)
                continue
            if self._end is True:
                self._ledger.check_end()
                if self._fault:
                    raise self._fault
                return None
            seconds = self._ledger.begin_again(self._end)
            await _end_tasks(self._calling)
            await asyncio.sleep(seconds)
            self._begin_call()

    async def close(self) -> None:
        """Ends the call and all tasks."""
        if self._call is not None:
            self._call.cancel()
        await _end_tasks([*self._calling, *([self._taking] if self._taking else [])])

    def _begin_call(self) -> None:
        self._end = False
        try:
            self._call = self._open_call()
        except grpc.aio.UsageError as error:
            raise _channel.closed_error() from error
        self._calling = [asyncio.ensure_future(self._send()), asyncio.ensure_future(self._read())]

    async def _take_items(self) -> None:
        items = self._items if isinstance(self._items, AsyncIterable) else _await_each(self._items)
        try:
            async for item in items:
                self._ledger.add(item)
                self._work.set()
                while not self._ledger.has_room:
                    await _wait(self._room)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (raised to the caller)
            self._fault = error
        self._ledger.is_exhausted = True
        self._work.set()

    async def _send(self) -> None:
        # What is wrong with a call its reader is told.
        with contextlib.suppress(grpc.RpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            is_first = True
            while True:
                if (request := self._ledger.next_request()) is not None:
                    await self._call.write(request)
                    if is_first and request.items:
                        # Accepted, or refused and why: a write meanwhile would have gRPC forget why.
                        await self._call.initial_metadata()
                    is_first = False
                elif self._ledger.all_is_sent:
                    await self._call.done_writing()
                    return
                else:
                    await _wait(self._work)

    async def _read(self) -> None:
        end: LatimerError | bool = True
        try:
            async for response in self._call:
                self._ledger.settle(response)
                self._news.set()
                while self._ledger.has_results:
                    await _wait(self._given)
        except grpc.aio.AioRpcError as error:
            end = _channel.convert_call_error(error)
            if error.details() == _STATUS_LOST:
                end = ConnectionFailedError("the stream broke", code="UNAVAILABLE", request_id=end.request_id)
        except asyncio.CancelledError:
            # The call's, when the client was closed under it; else this task's.
            end = CancelledError("the call was cancelled", code="CANCELLED")
        self._end = end
        self._news.set()


async def _wait(event: asyncio.Event, patience: float | None = None) -> bool:
    """Waits for the next time that an event is set; False if that is not in `patience` seconds."""
    event.clear()
    try:
        return await asyncio.wait_for(event.wait(), patience)
    except asyncio.TimeoutError:  # noqa: UP041 (another class in Python 3.10)
        return False


async def _await_each(items: Iterable[object]) -> AsyncGenerator[object, None]:
    for number, item in enumerate(items, 1):
        yield item
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)


async def _end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
