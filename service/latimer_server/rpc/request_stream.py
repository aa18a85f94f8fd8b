"""Reads the messages of a call from a thread, for use on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.message import Message

from latimer_server.core.errors import DeadlineExceeded, Unavailable
from latimer_server.rpc.loop_bridge import CallEnded

# How long a draining server waits for a message, or the end of the stream, that may be on its way.
_LAST_MESSAGE_SECONDS = 0.1


def read_next(requests: Iterator[bytes]) -> bytes | None:
    """Returns the next message of a call, None at the end. Blocks. Raises `CallEnded` if the call ends first."""
    try:
        return next(requests, None)
    except grpc.RpcError as error:
        # gRPC keeps the error in the state of the call, to which its traceback leads: a reference cycle.
        error.__traceback__ = None
        raise CallEnded from None


async def read_messages(
    requests: Iterator[bytes],
    parse: Callable[[bytes], Message],
    draining: asyncio.Event,
    first_seconds: float,
    idle_seconds: float,
) -> AsyncGenerator[Message, None]:
    """Yields the parsed messages of a stream, and reads no further than it is asked to.

    `first_seconds`, `idle_seconds`: how long the stream may wait for its first and for any later message. Raises
    `DeadlineExceeded` beyond that, `Unavailable` when the server drains while the stream waits.
    """
    loop = asyncio.get_running_loop()
    # The thread of the call writes the responses, and gRPC's iterator blocks: reading needs a thread of its own.
    reader = ThreadPoolExecutor(1, thread_name_prefix="read")
    drained = loop.create_task(_wait_for_last_message(draining))
    seconds = first_seconds
    try:
        while True:
            read = loop.run_in_executor(reader, read_next, requests)
            try:
                await asyncio.wait((read, drained), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    if drained.done():
                        raise Unavailable("the server is shutting down; unanswered items can be sent again")
                    raise DeadlineExceeded(f"the stream sent no message for {seconds:g} s")
                data = read.result()
            finally:
                read.cancel()
                del read  # its error has a traceback, which refers to this frame
            if data is None:
                return
            yield parse(data)
            seconds = idle_seconds
    finally:
        drained.cancel()
        reader.shutdown(wait=False)


async def _wait_for_last_message(draining: asyncio.Event) -> None:
    await draining.wait()
    await asyncio.sleep(_LAST_MESSAGE_SECONDS)
