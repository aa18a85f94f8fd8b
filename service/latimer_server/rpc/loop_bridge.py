"""Runs coroutines of the use cases from threads of the gRPC server.

gRPC's synchronous server gives each call a thread. The use cases run on one asyncio event loop. A `CallScope` connects
both: its thread waits while the loop works, and the work is cancelled when the call ends early.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar, cast

import grpc

from latimer_server.core.errors import Unavailable

T = TypeVar("T")
_END = object()


class CallEnded(Exception):
    """The caller, its deadline or the end of the server has ended the call."""


class CallScope:
    """The work of one call on the event loop. Its methods are called from the call's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: grpc.ServicerContext) -> None:
        self._loop = loop
        self._ended = False
        self._cut = False
        self._runs = False  # whether the call's thread waits for the loop
        self._task: asyncio.Task[Any] | None = None
        if not context.add_callback(self._end):
            raise CallEnded

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop and returns its result. Raises what it raises, `CallEnded` if the call ends
        before it does, and `Unavailable` if it is cut."""
        result: Future[T] = Future()
        self._runs = True
        try:
            self._loop.call_soon_threadsafe(self._start, work, result)
            return result.result()
        except (CancelledError, RuntimeError) as error:
            if self._loop.is_closed():
                work.close()
            if self._cut and not self._ended:
                raise Unavailable("the server ended before the call did; send it again") from None
            if self._ended or isinstance(error, CancelledError) or self._loop.is_closed():
                raise CallEnded from None
            raise
        finally:
            self._runs = False
            # A task and a future refer to their exception, whose traceback refers to this frame.
            self._task = None
            del result

    def cut(self) -> None:
        """Ends the work, so that the call can still be answered. Called on the loop."""
        self._cut = True
        self._cancel()

    def iterate(self, responses: AsyncIterator[T]) -> Iterator[T]:
        """Yields the items of an asynchronous iterator, and closes it if it is a generator."""
        try:
            while (response := self.run(_next(responses))) is not _END:
                yield cast(T, response)
        finally:
            if isinstance(responses, AsyncGenerator):
                self._close(responses)

    def _close(self, responses: AsyncGenerator[Any, None]) -> None:
        closed: Future[None] = Future()

        async def close() -> None:
            await responses.aclose()

        try:
            self._loop.call_soon_threadsafe(_start_task, self._loop, close(), closed)
            closed.result()
        except (CancelledError, RuntimeError):
            return

    def _start(self, work: Coroutine[Any, Any, T], result: Future[T]) -> None:
        if self._ended or self._cut:
            work.close()
            result.cancel()
            return
        self._task = _start_task(self._loop, work, result)

    def _end(self) -> None:
        """Runs in the thread in which gRPC notices the end of the call, whose work has ended already as a rule."""
        self._ended = True
        if not self._runs:
            return
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed
            return

    def _cancel(self) -> None:
        task = self._task  # the call's thread clears it
        if task is not None:
            task.cancel()


def _start_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], result: Future[T]) -> asyncio.Task[T]:
    task = loop.create_task(work)

    def settle(done: asyncio.Task[T]) -> None:
        if done.cancelled():
            result.cancel()
        elif (error := done.exception()) is not None:
            result.set_exception(error)
        else:
            result.set_result(done.result())

    task.add_done_callback(settle)
    return task


async def _next(responses: AsyncIterator[T]) -> T | object:
    return await anext(responses, _END)
