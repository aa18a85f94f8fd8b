"""`translate_many` with servers that go away: no result is lost or given twice, and retries end."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from latimer import ConnectionFailedError, OverloadedError, ServerError, TranslatedItem
from latimer.v1 import translation_pb2 as pb
from tests.fakes import serve_fakes
from tests.streams import Stream, make_texts, take, take_until

# Streams begin again almost without a wait.
AT_ONCE: dict[str, Any] = {"stream_retry_delay": 0.001}


class Flaky:
    """A server that answers some items of each stream and then ends it with an error. `answers`: the items that it
    answers on the first stream, on the second, and so on. `code`: its error; `codes`: those of single streams, by their
    index. `streams`: the ids that each stream received. `has_broken`: set when the first stream has ended."""

    def __init__(
        self,
        answers: Iterable[int],
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        codes: Mapping[int, grpc.StatusCode] | None = None,
    ) -> None:
        self._answers = iter(answers)
        self._code = code
        self._codes = codes or {}
        self.streams: list[list[str]] = []
        self.has_broken = threading.Event()

    async def answer(self, requests: AsyncIterator[pb.StreamTranslateTextRequest], context: Any) -> Any:
        left = next(self._answers)
        received: list[str] = []
        code = self._codes.get(len(self.streams), self._code)
        self.streams.append(received)
        context.add_done_callback(lambda _: self.has_broken.set())
        async for request in requests:
            for item in request.items:
                received.append(item.item_id)
                if left == 0:
                    await context.abort(code, "gone")
                left -= 1
                translation = pb.Translation(translated_text=item.content)
                result = pb.TranslationResult(translations=[translation])
                yield pb.StreamTranslateTextResponse(results=[pb.StreamResult(item_id=item.item_id, result=result)])
        if left == 0:
            await context.abort(code, "gone")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[int]:
        """Serves on a free port, and returns it."""
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
        found = await take(stream(port, texts, ordered=ordered, **AT_ONCE))
    assert [result.text for result in found] == texts
    assert len(flaky.streams) == 7
    assert [received[0] for received in flaky.streams] == ["0", "0", "10", "10", "10", "310", "311"]


async def test_items_that_are_taken_before_a_stream_begins_again_are_sent_on_it(stream: Stream) -> None:
    texts = make_texts(50)
    flaky = Flaky([0, 1_000])
    async with flaky.serve() as port:
        found = await take(stream(port, stream.feed(texts, flaky.has_broken), timeout=5, stream_retry_delay=0.2))
    assert [result.text for result in found] == texts
    assert flaky.streams == [["0"], [str(index) for index in range(50)]]


async def test_a_server_that_never_answers_is_given_up(stream: Stream) -> None:
    flaky = Flaky([5] + [0] * 100)
    async with flaky.serve() as port:
        given = await take_until(ConnectionFailedError, stream(port, make_texts(100), **AT_ONCE))
    assert [result.index for result in given] == [0, 1, 2, 3, 4]
    assert len(flaky.streams) == 1 + 7


async def test_an_error_other_than_unavailable_is_not_tried_again(stream: Stream) -> None:
    flaky = Flaky([5] + [0] * 100, grpc.StatusCode.INTERNAL)
    async with flaky.serve() as port:
        assert len(await take_until(ServerError, stream(port, make_texts(100), **AT_ONCE))) == 5
    assert len(flaky.streams) == 1


async def test_a_stream_that_comes_back_to_a_full_server_waits_for_its_place(stream: Stream) -> None:
    """When a server goes away, all of its streams go to the servers that are left."""
    texts = make_texts(100)
    full = grpc.StatusCode.RESOURCE_EXHAUSTED
    flaky = Flaky([5, 0, 0, 100_000], codes={1: full, 2: full})
    async with flaky.serve() as port:
        found = await take(stream(port, texts, **AT_ONCE))
    assert [result.text for result in found] == texts
    assert len(flaky.streams) == 4


async def test_a_stream_that_a_full_server_refuses_at_first_is_refused(stream: Stream) -> None:
    flaky = Flaky([0] * 100, grpc.StatusCode.RESOURCE_EXHAUSTED)
    async with flaky.serve() as port:
        assert not await take_until(OverloadedError, stream(port, make_texts(100), **AT_ONCE))
    assert len(flaky.streams) == 1


async def test_a_server_that_is_killed_and_comes_back_loses_nothing(stream: Stream) -> None:
    texts = make_texts(6_000)
    found: list[TranslatedItem] = []
    async with serve_fakes() as server:
        results = stream(server, texts)
        async for result in results:
            found.append(result)
            if len(found) == 1_000:
                break
    # If another process takes the port in between, the test fails.
    async with serve_fakes(listen=f"127.0.0.1:{server.port}"):
        found += await take(results)
    assert [result.text for result in found] == texts
