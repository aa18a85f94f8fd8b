"""Priorities, turns and limits of callers, as callers notice them: in the order of batches and in refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from latimer import AsyncClient
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.rpc.server import LatimerServer
from tests.fakes import BlockingBackend, serve_fakes
from tests.integration.calls import connect_alone, find_queue
from tests.streams import EN_PT, take, until

# With 8 requests at most, one caller has at most 7.
MOST, MOST_OF_ONE = 8, 7
CONFIG = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])


class RecordingBackend(BlockingBackend):
    """A blocking model. `begun`: the texts of its batches in the order in which they began."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[list[str]] = []

    @property
    def pieces(self) -> int:
        return sum(map(len, self.begun))

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.begun.append(self.decode([ids[:-1] for ids in batch]))
        return super().run(batch, options, cancelled)

    def turn_of(self, text: str) -> int:
        """Returns the index of the batch that has this text."""
        return next(index for index, batch in enumerate(self.begun) if text in batch)


def request(*texts: str) -> pb.TranslateTextRequest:
    return pb.TranslateTextRequest(contents=texts, source_language_code="en", target_language_codes=["pt"])


async def test_calls_go_before_streams() -> None:
    backend = RecordingBackend()
    async with serve_fakes({"en-pt": backend}) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        queue = await find_queue(server)
        stream = asyncio.create_task(take(client.translate_many([f"Item {n}." for n in range(200)], **EN_PT)))
        await until(lambda: queue.waiting + backend.pieces == 200)
        call = asyncio.create_task(client.translate("A call.", **EN_PT))
        await until(lambda: queue.waiting + backend.pieces == 201)
        backend.release.set()
        assert (await call).text == "A call."
        assert len(await stream) == 200
    assert backend.turn_of("A call.") == 1


@pytest.mark.parametrize("same_connection", [True, False])
async def test_a_short_call_comes_before_the_long_ones_of_any_connection(same_connection: bool) -> None:
    """The model is busy with the first of six calls, of 100 texts each, when a call of one text comes."""
    backend = RecordingBackend()
    async with (
        serve_fakes({"en-pt": backend}) as server,
        connect_alone(server) as greedy,
        connect_alone(server) as other,
    ):
        queue = await find_queue(server)
        flood = []
        for number in range(6):
            texts = [f"Call {number} has a text {index + 100}." for index in range(100)]
            flood.append(asyncio.ensure_future(greedy.TranslateText(request(*texts))))
            await until(lambda number=number: queue.waiting + backend.pieces == 100 * (number + 1))  # type: ignore[misc]
        late = asyncio.ensure_future((greedy if same_connection else other).TranslateText(request("One sentence.")))
        await until(lambda: queue.waiting + backend.pieces == 601)
        backend.release.set()
        await asyncio.gather(*flood, late)
    assert backend.turn_of("One sentence.") <= 2


async def test_a_stream_uses_the_cache_unless_it_is_disabled() -> None:
    async with serve_fakes(segment_cache_mb=1) as server, connect_alone(server) as stub:
        cached = []
        for disable_cache in (False, False, True):
            config = pb.StreamTranslateTextConfig()
            config.CopyFrom(CONFIG)
            config.options.disable_cache = disable_cache
            message = pb.StreamTranslateTextRequest(
                config=config, items=[pb.StreamItem(item_id="n", content="One sentence.")]
            )
            responses = [response async for response in stub.StreamTranslateText(iter([message]))]
            cached.append(responses[-1].usage.cached_segments)
    assert cached == [0, 1, 0]


class Load:
    """Requests that a server holds while its model is blocked."""

    def __init__(self, server: LatimerServer) -> None:
        self.server = server
        self.calls: list[asyncio.Future[pb.TranslateTextResponse]] = []

    async def add_call(self, stub: translation_pb2_grpc.TranslationServiceAsyncStub, token: str) -> None:
        """Sends a call and waits until it is in work."""
        call = stub.TranslateText(request(f"Number {len(self.calls)}."), metadata=bearer(token))
        self.calls.append(asyncio.ensure_future(call))
        active = self.server.admission.active
        await until(lambda: self.server.admission.active == active + 1)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def assert_refused(stub: translation_pb2_grpc.TranslationServiceAsyncStub, token: str) -> None:
    """Asserts that a call of this caller is over its limit."""
    with pytest.raises(grpc.aio.AioRpcError, match=f"{MOST_OF_ONE} of them of this caller") as refused:
        await stub.TranslateText(request("One too many."), metadata=bearer(token))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_without_tokens_a_connection_is_a_caller_whatever_token_it_sends() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}, max_requests=MOST) as server,
        connect_alone(server) as first,
        connect_alone(server) as second,
    ):
        load = Load(server)
        for number in range(MOST_OF_ONE):
            await load.add_call(first, f"invented {number}")
        await assert_refused(first, "another")
        await load.add_call(second, "invented 0")
        assert server.admission.callers == 2
        blocking.release.set()
        await asyncio.gather(*load.calls)


async def test_with_tokens_a_token_is_a_caller_on_all_its_connections(tmp_path: Path) -> None:
    blocking = BlockingBackend()
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame\nother\n")
    async with (
        serve_fakes({"en-pt": blocking}, max_requests=MOST, auth_tokens=tokens) as server,
        connect_alone(server) as first,
        connect_alone(server) as second,
    ):
        load = Load(server)
        for number in range(MOST_OF_ONE):
            await load.add_call((first, second)[number % 2], "sesame")
        for stub in (first, second):
            await assert_refused(stub, "sesame")
        await load.add_call(first, "other")
        assert server.admission.callers == 2
        blocking.release.set()
        await asyncio.gather(*load.calls)
