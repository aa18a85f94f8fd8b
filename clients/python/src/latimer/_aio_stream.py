"""Runs a stream for the asynchronous client: one task takes the caller's items, one sends
messages and one reads responses.

`_ledger.Ledger` holds the items and chooses those of each message. `_stream` is the synchronous counterpart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Any

import grpc

from latimer import _status, types
from latimer._ledger import Answer, Ledger, late_error
from latimer.errors import CancelledError, ConnectionFailedError, LatimerError

# Converts gRPC's error of a call.
ConvertError = Callable[[Any], LatimerError]
# Starts a call, and returns it with the function for its error. Raises `LatimerError` if the client is closed.
OpenCall = Callable[[], tuple[Any, ConvertError]]
# The details that gRPC reports instead of the real status if a write fails because the call has ended (grpc/grpc issue
# 36066). The client then opens another stream, which reports the real status if the cause persists.
_STATUS_LOST = "Internal error from Core"
# After this many items of a synchronous iterable, other tasks get a turn.
_ITEMS_PER_TURN = 128


async def run_stream(
    open_call: OpenCall, items: Iterable[object] | AsyncIterable[object], ledger: Ledger, answer_timeout: float | None
) -> AsyncGenerator[types.TranslatedItem, None]:
    """Yields the results of the items. `answer_timeout`: the most seconds to wait for a result of an item that was
    sent; None means no limit."""
    stream = _Stream(open_call, items, ledger)
    try:
        stream.start()
        while (answers := await stream.next_answers(answer_timeout)) is not None:
            for answer in answers:
                yield ledger.read(answer)
            stream.release(answers)
    finally:
        await stream.close()


class AsyncTranslationStream(AsyncGenerator[types.TranslatedItem, None]):
    """The results of `translate_many`: an asynchronous iterator that `aclose`, or the end of an `async with` block,
    ends early."""

    def __init__(self, results: AsyncGenerator[types.TranslatedItem, None], ledger: Ledger) -> None:
        self._results = results
        self._ledger = ledger

    @property
    def usage(self) -> types.Usage | None:
        """The cost of the stream; None until all results are taken. After a broken connection it is that of the last
        stream only."""
        return self._ledger.usage

    def __aiter__(self) -> AsyncGenerator[types.TranslatedItem, None]:
        return self._results

    async def __anext__(self) -> types.TranslatedItem:
        return await anext(self._results)

    async def asend(self, value: None) -> types.TranslatedItem:
        """Returns the next result, as `anext` does."""
        return await self._results.asend(value)

    async def athrow(self, *error: Any) -> types.TranslatedItem:
        """Raises an exception where the stream waits, which ends it."""
        return await self._results.athrow(*error)

    async def aclose(self) -> None:
        """Ends the stream."""
        await self._results.aclose()

    async def __aenter__(self) -> AsyncTranslationStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Stream:
    """The state that the tasks share. Each task waits for one of the events."""

    def __init__(self, open_call: OpenCall, items: Iterable[object] | AsyncIterable[object], ledger: Ledger) -> None:
        self._open_call = open_call
        self._items = items
        self._ledger = ledger
        self._room = asyncio.Event()  # the task that takes items waits for room
        self._work = asyncio.Event()  # the task that sends waits for items
        self._progress = asyncio.Event()  # the caller waits for results or the end of the call
        self._taken = asyncio.Event()  # the task that reads waits until results are taken
        self._call: Any = None
        self._call_end: LatimerError | bool = False  # False: in work; True: ended with OK; else its error
        self._items_error: BaseException | None = None  # the exception of the caller's iterable
        self._items_task: asyncio.Task[None] | None = None
        self._call_tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts to take items, and starts the first call."""
        self._items_task = asyncio.ensure_future(self._take_items())
        self._begin_call()

    async def next_answers(self, answer_timeout: float | None) -> list[Answer] | None:
        """Waits for results; returns None after the last one."""
        while True:
            answers = self._ledger.take()
            self._taken.set()
            if answers:
                return answers
            if self._call_end is False:
                is_owed = self._ledger.is_owed
                if not await _wait(self._progress, answer_timeout) and is_owed:
                    raise late_error(answer_timeout)
                continue
            if self._call_end is True:
                self._ledger.check_end()
                if self._items_error:
                    raise self._items_error
                return None
            seconds = self._ledger.begin_again(self._call_end)
            await _end_tasks(self._call_tasks)
            await asyncio.sleep(seconds)
            self._begin_call()

    def release(self, answers: list[Answer]) -> None:
        """Lets the next items be taken: the caller has these results."""
        self._ledger.release(answers)
        self._room.set()

    async def close(self) -> None:
        """Cancels the call and all tasks."""
        if self._call is not None:
            self._call.cancel()
        await _end_tasks([*self._call_tasks, *([self._items_task] if self._items_task else [])])

    def _begin_call(self) -> None:
        self._call_end = False
        self._call, convert = self._open_call()
        self._call_tasks = [asyncio.ensure_future(self._send()), asyncio.ensure_future(self._read(convert))]

    async def _take_items(self) -> None:
        try:
            if isinstance(self._items, AsyncIterable):
                async for item in self._items:
                    await self._take(item)
            else:
                for number, item in enumerate(self._items, 1):
                    await self._take(item)
                    if number % _ITEMS_PER_TURN == 0:
                        await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (raised to the caller)
            self._items_error = error
        self._ledger.is_exhausted = True
        self._work.set()

    async def _take(self, item: object) -> None:
        self._ledger.add(item)
        self._work.set()
        while not self._ledger.has_room:
            await _wait(self._room)

    async def _send(self) -> None:
        # The task that reads gets the error of the call.
        with contextlib.suppress(grpc.RpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            is_first = True
            while True:
                if (request := self._ledger.next_request()) is not None:
                    await self._call.write(request)
                    if is_first and request.items:
                        # Waits until the server accepts or refuses the stream. A write to a refused call would make
                        # gRPC lose the status.
                        await self._call.initial_metadata()
                    is_first = False
                elif self._ledger.all_is_sent:
                    await self._call.done_writing()
                    return
                else:
                    await _wait(self._work)

    async def _read(self, convert: ConvertError) -> None:
        end: LatimerError | bool = True
        try:
            self._ledger.request_id = _status.find_request_id(await self._call.initial_metadata())
            async for response in self._call:
                self._ledger.settle(response)
                self._progress.set()
                while self._ledger.has_results:
                    await _wait(self._taken)
        except grpc.aio.AioRpcError as error:
            end = convert(error)
            if error.details() == _STATUS_LOST:
                end = ConnectionFailedError("the stream broke", code="UNAVAILABLE", request_id=end.request_id)
        except asyncio.CancelledError:
            # Either the client was closed during the call, or this task is cancelled.
            end = CancelledError("the call was cancelled", code="CANCELLED")
        self._call_end = end
        self._progress.set()


async def _wait(event: asyncio.Event, answer_timeout: float | None = None) -> bool:
    """Waits until the event is set again; returns False after `answer_timeout` seconds."""
    event.clear()
    try:
        return await asyncio.wait_for(event.wait(), answer_timeout)
    except asyncio.TimeoutError:
        return False


async def _end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
