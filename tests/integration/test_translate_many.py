"""`translate_many`, both clients, over a real channel: lazily in, lazily out, nothing lost and nothing twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
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
    ServerError,
    TranslatedItem,
    _ledger,
)
from latimer._ledger import READ_AHEAD_ITEMS
from latimer.v1 import translation_pb2 as pb
from latimer_server.server import LatimerServer
from tests.fakes import BlockingBackend, EchoBackend, serve_fakes
from tests.integration.test_streaming import until

EN_PT: dict[str, Any] = {"source": "en", "target": "pt"}
# What a client makes of items: both do the same, and each test is of both.
Streaming = Callable[..., AsyncGenerator[TranslatedItem, None]]


@dataclass(frozen=True)
class Stream:
    """Streams with one of the clients."""

    run: Streaming

    def __call__(self, server: LatimerServer | int, given: Any, **options: Any) -> AsyncGenerator[TranslatedItem, None]:
        client = {key: options.pop(key) for key in ("timeout", "token") if key in options}
        port = server if isinstance(server, int) else server.port
        return self.run(port, given, client, **{**EN_PT, **options})

    def feed(self, texts: Sequence[str], event: threading.Event) -> Iterable[str] | AsyncIterable[str]:
        """The first of the texts, and the others after the event."""

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
    port: int, given: Any, client: dict[str, Any], **options: Any
) -> AsyncGenerator[TranslatedItem, None]:
    async with (
        AsyncClient(f"127.0.0.1:{port}", **client) as connected,
        aclosing(connected.translate_many(given, **options)) as results,
    ):
        async for result in results:
            yield result


async def _stream_in_threads(
    port: int, given: Any, client: dict[str, Any], **options: Any
) -> AsyncGenerator[TranslatedItem, None]:
    with Client(f"127.0.0.1:{port}", **client) as connected:
        results = connected.translate_many(given, **options)
        try:
            while (result := await asyncio.to_thread(next, results, None)) is not None:
                yield result
        finally:
            results.close()


@pytest.fixture(params=[_stream, _stream_in_threads], ids=["asynchronous", "synchronous"])
def stream(request: pytest.FixtureRequest) -> Stream:
    return Stream(request.param)


def make_texts(count: int) -> list[str]:
    return [f"Sentence number {index} is about a river{' and its bridge' * (index % 7)}." for index in range(count)]


async def take(results: AsyncIterator[TranslatedItem]) -> list[TranslatedItem]:
    return [result async for result in results]


async def take_until(kind: type[LatimerError] | type[ZeroDivisionError], results: Any) -> list[TranslatedItem]:
    """What is given before the error."""
    given: list[TranslatedItem] = []
    try:
        async for result in results:
            given += [result]
    except kind:
        return given
    raise AssertionError(f"no {kind.__name__}")


async def test_thousands_of_items_come_back_exactly_and_in_order(server: LatimerServer, stream: Stream) -> None:
    texts = make_texts(5_000)
    found = await take(stream(server, iter(texts)))
    assert [result.text for result in found] == texts
    assert [result.index for result in found] == list(range(5_000))
    assert [result.source_text for result in found] == texts


async def test_nothing_in_is_nothing_out(server: LatimerServer, stream: Stream) -> None:
    assert await take(stream(server, [])) == []


async def test_an_asynchronous_client_takes_what_awaits(client: AsyncClient) -> None:
    async def items() -> AsyncIterator[tuple[str, str]]:
        for index in range(300):
            await asyncio.sleep(0)
            yield f"key {index}", f"Text {index}."

    found = await take(client.translate_many(items(), **EN_PT))
    assert [(result.key, result.text) for result in found] == [(f"key {i}", f"Text {i}.") for i in range(300)]


async def test_several_targets_come_together(server: LatimerServer, stream: Stream) -> None:
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


async def test_nothing_is_taken_before_a_result_is_asked_for(server: LatimerServer) -> None:
    def items() -> Iterator[str]:
        assert not "taken"
        yield ""

    with Client(f"127.0.0.1:{server.port}") as synchronous:
        synchronous.translate_many(items(), **EN_PT)
    async with AsyncClient(f"127.0.0.1:{server.port}") as asynchronous:
        asynchronous.translate_many(items(), **EN_PT)


async def test_an_item_is_answered_before_the_next_is_there(server: LatimerServer, stream: Stream) -> None:
    answered = threading.Event()

    async for result in stream(server, stream.feed(["One.", "Two."], answered)):
        assert result.text in ("One.", "Two.")
        answered.set()


async def test_bad_items_are_errors_in_their_places_and_raised_where_asked(
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


async def test_what_the_callers_iterable_raises_comes_after_what_came_before(
    server: LatimerServer, stream: Stream
) -> None:
    def items() -> Iterator[str]:
        yield from make_texts(100)
        raise ZeroDivisionError

    assert len(await take_until(ZeroDivisionError, stream(server, items()))) == 100
    assert len(await take_until(InvalidArgumentError, stream(server, ["One.", "Two.", 3]))) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [({"target": "de"}, NotServedError), ({"target": "??"}, InvalidArgumentError), ({"model": "x"}, NotServedError)],
)
async def test_what_concerns_all_items_is_raised(
    server: LatimerServer, stream: Stream, options: dict[str, str], error: type[LatimerError]
) -> None:
    assert await take_until(error, stream(server, make_texts(10), **options)) == []


async def test_an_option_that_is_none_is_refused_at_the_call(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match="sentence_spliting"):
        client.translate_many([], target="pt", sentence_spliting="off")


async def test_a_stream_that_is_left_early_leaves_nothing(stream: Stream) -> None:
    async with serve_fakes() as server:
        threads = threading.active_count()
        for _ in range(5):
            async with aclosing(stream(server, make_texts(5_000))) as results:
                async for result in results:
                    assert result.index < 3
                    if result.index == 2:
                        break
        await until(lambda: not server._admission.active)
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


async def test_the_timeout_bounds_the_wait_for_an_answer_that_is_owed(stream: Stream) -> None:
    blocking = BlockingBackend()
    async with serve_fakes({"en-pt": blocking}) as server:
        assert await take_until(DeadlineExceededError, stream(server, ["One."], timeout=0.2)) == []
        await until(lambda: not server._admission.active)


async def test_the_timeout_is_no_bound_on_the_callers_own_pace(client: AsyncClient, server: LatimerServer) -> None:
    waited = asyncio.Event()

    async def items() -> AsyncIterator[str]:
        yield "One."
        await waited.wait()
        yield "Two."

    async with AsyncClient(f"127.0.0.1:{server.port}", timeout=0.05) as hasty:
        results = hasty.translate_many(items(), **EN_PT)
        assert (await anext(results)).text == "One."
        second = asyncio.ensure_future(anext(results))
        await asyncio.wait({second}, timeout=0.3)
        assert not second.done()
        waited.set()
        assert (await second).text == "Two."


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams begin again without a wait."""
    monkeypatch.setattr(_ledger, "_FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(_ledger, "_MOST_BACKOFF", 0.05)


class Flaky:
    """A server that answers so many items of each of its streams, as ready, and ends them with UNAVAILABLE."""

    def __init__(self, answers: Iterable[int], code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self._answers = iter(answers)
        self._code = code
        self.streams: list[list[str]] = []

    async def answer(self, requests: AsyncIterator[pb.StreamTranslateTextRequest], context: Any) -> Any:
        left = next(self._answers)
        mine: list[str] = []
        self.streams.append(mine)
        async for request in requests:
            for item in request.items:
                mine.append(item.item_id)
                if left == 0:
                    await context.abort(self._code, "gone")
                left -= 1
                translation = pb.Translation(translated_text=item.content)
                result = pb.TranslationResult(translations=[translation])
                yield pb.StreamTranslateTextResponse(results=[pb.StreamResult(item_id=item.item_id, result=result)])
        if left == 0:
            await context.abort(self._code, "gone")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[int]:
        """Gives its port."""
        handler = grpc.stream_stream_rpc_method_handler(
            self.answer,
            pb.StreamTranslateTextRequest.FromString,
            pb.StreamTranslateTextResponse.SerializeToString,
        )
        server = grpc.aio.server()
        service = "latimer.v1.TranslationService"
        handlers = {"StreamTranslateText": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield port
        finally:
            await server.stop(0)


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_stream_that_breaks_is_resumed_where_it_was(stream: Stream, ordered: bool) -> None:
    flaky = Flaky([0, 10, 0, 0, 300, 1, 100_000])
    texts = make_texts(1_000)
    async with flaky.serve() as port:
        found = await take(stream(port, texts, ordered=ordered))
    assert [result.text for result in found] == texts
    assert len(flaky.streams) == 7
    assert [mine[0] for mine in flaky.streams] == ["0", "0", "10", "10", "10", "310", "311"]


async def test_a_server_that_never_answers_is_given_up(stream: Stream) -> None:
    flaky = Flaky([5] + [0] * 100)
    async with flaky.serve() as port:
        given = await take_until(ConnectionFailedError, stream(port, make_texts(100)))
    assert [result.index for result in given] == [0, 1, 2, 3, 4]
    assert len(flaky.streams) == 1 + 7


async def test_what_is_not_unavailable_is_not_tried_again(stream: Stream) -> None:
    flaky = Flaky([5] + [0] * 100, grpc.StatusCode.INTERNAL)
    async with flaky.serve() as port:
        assert len(await take_until(ServerError, stream(port, make_texts(100)))) == 5
    assert len(flaky.streams) == 1


async def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latimer_server.interceptors._RETRY_PUSHBACK_MS", "10")
    monkeypatch.setattr(_ledger, "_MOST_ATTEMPTS", 500)
    texts = make_texts(6_000)
    found: list[TranslatedItem] = []
    async with serve_fakes() as server:
        results = stream(server, texts)
        async for result in results:
            found.append(result)
            if len(found) == 1_000:
                break
    # The same port: whoever took it in between would fail the test, not pass it.
    async with serve_fakes(listen=f"127.0.0.1:{server.port}"):
        found += await take(results)
    assert [result.text for result in found] == texts
