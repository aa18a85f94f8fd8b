"""Streams with either client, for tests that run with both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from latimer import AsyncClient, Client, LatimerError, TranslatedItem
from latimer_server.rpc.server import LatimerServer

EN_PT: dict[str, Any] = {"source": "en", "target": "pt"}
# The `translate_many` of a client, as an asynchronous generator.
Streaming = Callable[..., AsyncGenerator[TranslatedItem, None]]
_CLIENT_OPTIONS = ("timeout", "token", "stream_retry_delay")


@dataclass(frozen=True)
class Stream:
    """The `translate_many` of one client: call it with a server or a port, the items and options."""

    run: Streaming

    def __call__(self, server: LatimerServer | int, texts: Any, **options: Any) -> AsyncGenerator[TranslatedItem, None]:
        client = {key: options.pop(key) for key in _CLIENT_OPTIONS if key in options}
        port = server if isinstance(server, int) else server.port
        return self.run(port, texts, client, **{**EN_PT, **options})

    def feed(self, texts: Sequence[str], event: threading.Event) -> Iterable[str] | AsyncIterable[str]:
        """Returns an iterable of the texts that waits for the event after the first one."""

        def items() -> Iterator[str]:
            yield texts[0]
            assert event.wait(10)
            yield from texts[1:]

        async def items_that_await() -> AsyncIterator[str]:
            yield texts[0]
            assert await asyncio.to_thread(event.wait, 10)
            for text in texts[1:]:
                yield text

        return items_that_await() if self.run is _stream else items()


async def _stream(
    port: int, texts: Any, client: dict[str, Any], **options: Any
) -> AsyncGenerator[TranslatedItem, None]:
    async with (
        AsyncClient(f"127.0.0.1:{port}", **client) as connected,
        aclosing(connected.translate_many(texts, **options)) as results,
    ):
        async for result in results:
            yield result


async def _stream_in_threads(
    port: int, texts: Any, client: dict[str, Any], **options: Any
) -> AsyncGenerator[TranslatedItem, None]:
    with Client(f"127.0.0.1:{port}", **client) as connected:
        results = connected.translate_many(texts, **options)
        try:
            while (result := await asyncio.to_thread(next, results, None)) is not None:
                yield result
        finally:
            results.close()


def make_texts(count: int) -> list[str]:
    return [f"Sentence number {index} is about a river{' and its bridge' * (index % 7)}." for index in range(count)]


async def take(results: AsyncIterator[TranslatedItem]) -> list[TranslatedItem]:
    return [result async for result in results]


async def take_until(kind: type[LatimerError] | type[ZeroDivisionError], results: Any) -> list[TranslatedItem]:
    """Returns the results before the error."""
    given: list[TranslatedItem] = []
    try:
        async for result in results:
            given += [result]
    except kind:
        return given
    raise AssertionError(f"no {kind.__name__}")


async def until(holds: Callable[[], bool]) -> None:
    """Waits until a condition on other threads or on the wire holds; at most 30 seconds."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


BOTH = (Stream(_stream), Stream(_stream_in_threads))
