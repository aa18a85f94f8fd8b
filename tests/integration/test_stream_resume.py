"""`translate_many` where servers go away: nothing is lost, nothing comes twice, and nobody is asked for ever."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from latimer import (
    ConnectionFailedError,
    LatimerError,
    OverloadedError,
    ServerError,
    TranslatedItem,
    _ledger,
)
from latimer._ledger import Ledger
from latimer.v1 import translation_pb2 as pb
from tests.fakes import serve_fakes
from tests.streams import Stream, make_texts, take, take_until


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams begin again without a wait."""
    monkeypatch.setattr(_ledger, "_FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(_ledger, "_MOST_BACKOFF", 0.05)


class Flaky:
    """A server that answers so many items of each of its streams, as ready, and then ends them with an error."""

    def __init__(
        self,
        answers: Iterable[int],
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        codes: Mapping[int, grpc.StatusCode] | None = None,
    ) -> None:
        self._answers = iter(answers)
        self._code = code
        self._codes = codes or {}  # of single streams, by their number
        self.streams: list[list[str]] = []

    async def answer(self, requests: AsyncIterator[pb.StreamTranslateTextRequest], context: Any) -> Any:
        left = next(self._answers)
        mine: list[str] = []
        code = self._codes.get(len(self.streams), self._code)
        self.streams.append(mine)
        async for request in requests:
            for item in request.items:
                mine.append(item.item_id)
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


async def test_what_is_taken_while_a_stream_begins_again_is_sent_on_it(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ledger, "_FIRST_BACKOFF", 0.2)
    monkeypatch.setattr(_ledger, "_MOST_BACKOFF", 0.2)
    broken = threading.Event()
    begin_again = Ledger.begin_again

    def note(ledger: Ledger, error: LatimerError) -> float:
        seconds = begin_again(ledger, error)
        broken.set()
        return seconds

    monkeypatch.setattr(Ledger, "begin_again", note)
    texts = make_texts(50)
    flaky = Flaky([0, 1_000])
    async with flaky.serve() as port:
        found = await take(stream(port, stream.feed(texts, broken), timeout=5))
    assert [result.text for result in found] == texts
    assert flaky.streams == [["0"], [str(index) for index in range(50)]]


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


async def test_a_stream_that_comes_back_to_a_full_server_waits_for_its_place(stream: Stream) -> None:
    """With it came everybody else's, to what is left of the servers."""
    texts = make_texts(100)
    full = grpc.StatusCode.RESOURCE_EXHAUSTED
    flaky = Flaky([5, 0, 0, 100_000], codes={1: full, 2: full})
    async with flaky.serve() as port:
        found = await take(stream(port, texts))
    assert [result.text for result in found] == texts
    assert len(flaky.streams) == 4


async def test_a_stream_that_a_full_server_refuses_at_first_is_refused(stream: Stream) -> None:
    flaky = Flaky([0] * 100, grpc.StatusCode.RESOURCE_EXHAUSTED)
    async with flaky.serve() as port:
        assert not await take_until(OverloadedError, stream(port, make_texts(100)))
    assert len(flaky.streams) == 1


async def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latimer_server.rpc.interceptor._RETRY_PUSHBACK_MS", "10")
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
