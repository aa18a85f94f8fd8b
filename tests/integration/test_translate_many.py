"""`translate_many` of both clients over a real channel: items are read lazily, each has one result, in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from latimer import (
    AsyncClient,
    CancelledError,
    Client,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidArgumentError,
    LatimerError,
    NotServedError,
)
from latimer_server.rpc.server import LatimerServer
from tests.fakes import BlockingBackend, EchoBackend, serve_fakes
from tests.streams import EN_PT, Stream, make_texts, take, take_until, until

# The bound that the README of the client states.
READ_AHEAD_ITEMS = 2_048


async def test_thousands_of_items_come_back_exactly_and_in_order(server: LatimerServer, stream: Stream) -> None:
    texts = make_texts(5_000)
    found = await take(stream(server, iter(texts)))
    assert [result.text for result in found] == texts
    assert [result.index for result in found] == list(range(5_000))
    assert [result.source_text for result in found] == texts


async def test_no_items_give_no_results(server: LatimerServer, stream: Stream) -> None:
    assert await take(stream(server, [])) == []


async def test_an_asynchronous_client_takes_an_asynchronous_iterable(client: AsyncClient) -> None:
    async def items() -> AsyncIterator[tuple[str, str]]:
        for index in range(300):
            await asyncio.sleep(0)
            yield f"key {index}", f"Text {index}."

    found = await take(client.translate_many(items(), **EN_PT))
    assert [(result.key, result.text) for result in found] == [(f"key {i}", f"Text {i}.") for i in range(300)]


async def test_several_targets_are_in_one_result(server: LatimerServer, stream: Stream) -> None:
    (result,) = await take(stream(server, ["A text."], target=["pt", "en"]))
    assert [translation.target_language for translation in result.translations] == ["pt", "en"]
    assert result.text == "A text."
    assert result.error is None


@pytest.mark.parametrize("ordered", [True, False])
async def test_results_are_as_ready_or_in_order(stream: Stream, ordered: bool) -> None:
    blocking = BlockingBackend()
    async with serve_fakes({"en-pt": blocking, "pt-en": EchoBackend()}) as server:
        texts = ["The committee meets again on Tuesday.", "A comissão reúne-se outra vez na terça-feira."]
        results = stream(server, stream.feed(texts, blocking.started), source=None, ordered=ordered)
        first = asyncio.ensure_future(anext(results))
        await asyncio.to_thread(blocking.started.wait, 10)
        if ordered:
            blocking.release.set()
        assert (await first).index == (0 if ordered else 1)
        blocking.release.set()
        assert len(await take(results)) == 1


@pytest.mark.parametrize("ordered", [True, False])
async def test_items_are_taken_no_further_ahead_than_the_bound(
    server: LatimerServer, stream: Stream, ordered: bool
) -> None:
    taken = given = most = 0

    def items() -> Iterator[str]:
        nonlocal taken
        for index in range(3 * READ_AHEAD_ITEMS):
            taken += 1
            yield f"Text {index}."

    async for _ in stream(server, items(), ordered=ordered):
        given += 1
        most = max(most, taken - given)
    assert given == taken == 3 * READ_AHEAD_ITEMS
    assert most <= READ_AHEAD_ITEMS


async def test_no_item_is_taken_before_the_first_result_is_requested(server: LatimerServer) -> None:
    def items() -> Iterator[str]:
        assert not "taken"
        yield ""

    with Client(f"127.0.0.1:{server.port}") as synchronous:
        synchronous.translate_many(items(), **EN_PT)
    async with AsyncClient(f"127.0.0.1:{server.port}") as asynchronous:
        asynchronous.translate_many(items(), **EN_PT)


async def test_an_item_is_answered_before_the_next_one_exists(server: LatimerServer, stream: Stream) -> None:
    answered = threading.Event()

    async for result in stream(server, stream.feed(["One.", "Two."], answered)):
        assert result.text in ("One.", "Two.")
        answered.set()


async def test_bad_items_are_errors_in_their_places_and_raised_on_request(
    server: LatimerServer, stream: Stream
) -> None:
    texts = ["One.", "word " * 200_001, "a\ud800", "Four."]
    found = await take(stream(server, texts))
    assert [result.text for result in found] == ["One.", "", "", "Four."]
    assert isinstance(found[1].error, InvalidArgumentError)
    assert isinstance(found[2].error, InvalidArgumentError)
    assert [
        result.text for result in await take_until(InvalidArgumentError, stream(server, texts, raise_errors=True))
    ] == ["One."]


async def test_an_error_of_the_iterable_is_raised_after_the_results_before_it(
    server: LatimerServer, stream: Stream
) -> None:
    def items() -> Iterator[str]:
        yield from make_texts(100)
        raise ZeroDivisionError

    assert len(await take_until(ZeroDivisionError, stream(server, items()))) == 100


@pytest.mark.parametrize(
    ("options", "error"),
    [({"target": "de"}, NotServedError), ({"target": "??"}, InvalidArgumentError), ({"model": "x"}, NotServedError)],
)
async def test_an_error_of_all_items_is_raised(
    server: LatimerServer, stream: Stream, options: dict[str, str], error: type[LatimerError]
) -> None:
    assert await take_until(error, stream(server, make_texts(10), **options)) == []


@pytest.mark.parametrize("text", ["A text.", b"bytes", {"a": "b"}, None, 7])
async def test_a_single_text_is_no_iterable_of_items(server: LatimerServer, stream: Stream, text: object) -> None:
    with pytest.raises(InvalidArgumentError, match="items is"):
        await take(stream(server, text))


async def test_an_unknown_option_is_refused_by_the_call(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match="sentence_spliting"):
        client.translate_many([], target="pt", sentence_spliting="off")  # type: ignore[call-arg]


async def test_a_stream_that_is_left_early_leaves_nothing(stream: Stream) -> None:
    async with serve_fakes() as server:
        threads = threading.active_count()
        for _ in range(5):
            async with aclosing(stream(server, make_texts(5_000))) as results:
                async for result in results:
                    assert result.index < 3
                    if result.index == 2:
                        break
        await until(lambda: not server.streams.active)
        await until(lambda: not any(t.name.startswith("latimer-") for t in threading.enumerate()))
        assert threading.active_count() < threads + 10


async def test_a_client_that_is_closed_ends_its_streams() -> None:
    blocking = BlockingBackend()
    async with serve_fakes({"en-pt": blocking}) as server:
        synchronous = Client(f"127.0.0.1:{server.port}")
        results = synchronous.translate_many(["One."], **EN_PT)
        pending = asyncio.ensure_future(asyncio.to_thread(next, results))
        await asyncio.to_thread(blocking.started.wait, 10)
        synchronous.close()
        with pytest.raises(CancelledError):
            await pending
        with pytest.raises(ConnectionFailedError, match="closed"):
            next(synchronous.translate_many(["One."], **EN_PT))
        blocking.started.clear()
        asynchronous = AsyncClient(f"127.0.0.1:{server.port}")
        waiting = asyncio.ensure_future(anext(asynchronous.translate_many(["One."], **EN_PT)))
        await asyncio.to_thread(blocking.started.wait, 10)
        await asynchronous.close()
        with pytest.raises(CancelledError):
            await waiting
        with pytest.raises(ConnectionFailedError, match="closed"):
            await anext(asynchronous.translate_many(["One."], **EN_PT))


async def test_the_timeout_bounds_the_wait_for_an_outstanding_answer(stream: Stream) -> None:
    blocking = BlockingBackend()
    async with serve_fakes({"en-pt": blocking}) as server:
        assert await take_until(DeadlineExceededError, stream(server, ["One."], timeout=0.2)) == []
        await until(lambda: not server.streams.active)


async def test_the_timeout_does_not_bound_the_time_between_items() -> None:
    """Two streams with the same timeout, of which the model answers none, expire one after the other meanwhile."""
    waited = asyncio.Event()

    async def items() -> AsyncIterator[str]:
        yield "One."
        await waited.wait()
        yield "Two."

    async with (
        serve_fakes({"en-pt": EchoBackend(), "pt-en": BlockingBackend()}) as server,
        AsyncClient(f"127.0.0.1:{server.port}", timeout=1.0) as hasty,
    ):
        results = hasty.translate_many(items(), **EN_PT)
        assert (await anext(results)).text == "One."
        second = asyncio.ensure_future(anext(results))
        for _ in range(2):
            with pytest.raises(DeadlineExceededError):
                await anext(hasty.translate_many(["Um."], source="pt", target="en"))
        assert not second.done()
        waited.set()
        assert (await second).text == "Two."
