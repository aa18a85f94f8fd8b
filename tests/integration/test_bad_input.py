"""Bad input and bad behaviour of callers: the answer is clear, other callers are served, no state is left behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
import pytest

from latimer import (
    AsyncClient,
    CancelledError,
    InvalidArgumentError,
    OverloadedError,
)
from latimer.v1 import translation_pb2, translation_pb2_grpc, types_pb2
from latimer_server.rpc.server import LatimerServer
from tests.fakes import BlockingBackend, EchoBackend, serve_fakes
from tests.integration.calls import connect_alone, find_queue
from tests.pool_fakes import until


async def assert_nothing_is_left(server: LatimerServer) -> None:
    """Asserts that no request is in work and that the queue of en-pt refers to no piece."""
    queue = await find_queue(server)
    assert (server.admission.active, server.admission.callers) == (0, 0)
    assert (queue.waiting, queue.waiting_tokens, queue.waiting_options) == (0, 0, 0)


@asynccontextmanager
async def connect(server: LatimerServer, seconds: float = 60.0) -> AsyncIterator[AsyncClient]:
    """Opens a client with this timeout."""
    async with AsyncClient(f"127.0.0.1:{server.port}", timeout=seconds) as client:
        yield client


async def test_a_word_of_100_000_characters_is_returned_whole_and_delays_no_other_call() -> None:
    word = "ab" * 50_000
    backends = {"en-pt": EchoBackend(max_input_tokens=128), "pt-en": EchoBackend()}
    async with serve_fakes(backends) as server, connect(server) as client:
        long = asyncio.create_task(client.translate(word, source="en", target="pt", include_segments=True))
        short = await client.translate("A short one.", source="en", target="pt")
        translation = await long
        assert short.text == "A short one."
        assert translation.text == word
        assert "SEGMENT_SPLIT" in translation.flags
        with pytest.raises(InvalidArgumentError, match="at most 1000000"):
            await client.translate("x" * 1_000_001, source="en", target="pt")
        await assert_nothing_is_left(server)


async def test_10_000_items_of_one_character_are_refused_in_one_call_and_served_in_ten() -> None:
    items = [chr(97 + number % 26) for number in range(10_000)]
    async with serve_fakes() as server, connect_alone(server) as stub:
        with pytest.raises(grpc.aio.AioRpcError, match="has 10000 items") as refused:
            await call(stub, *items)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        found = await asyncio.gather(*(call(stub, *items[at : at + 1_000]) for at in range(0, 10_000, 1_000)))
        texts = [result.translations[0].translated_text for answer in found for result in answer.results]
        assert texts == items
        await assert_nothing_is_left(server)


async def test_a_thousand_calls_and_connections_that_are_abandoned_leave_nothing() -> None:
    backend = BlockingBackend()
    async with serve_fakes({"en-pt": backend, "pt-en": EchoBackend()}) as server:
        for wave in range(20):
            async with connect(server) as client:
                calls = [
                    asyncio.create_task(client.translate(f"Call {wave} {number}.", source="en", target="pt"))
                    for number in range(50)
                ]
                await until(lambda: server.admission.active == 50)
                for call in calls:
                    call.cancel()
                for call in calls:
                    with suppress(asyncio.CancelledError, CancelledError):
                        await call
            await until(lambda: server.admission.active == 0)
        for _ in range(1_000):
            with socket.create_connection(("127.0.0.1", server.port)):
                pass
        backend.release.set()
        async with connect(server) as client:
            assert (await client.translate("Still here.", source="en", target="pt")).text == "Still here."
        await assert_nothing_is_left(server)


async def test_deadlines_in_the_past_cost_nothing() -> None:
    backend = EchoBackend()
    async with serve_fakes({"en-pt": backend, "pt-en": EchoBackend()}) as server, connect_alone(server) as stub:
        before = len(backend.batches)
        for _ in range(200):
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await call(stub, "Too late.", timeout=-1.0)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await call(stub, "In time.")
        await until(lambda: server.admission.active == 0)
        await assert_nothing_is_left(server)
    assert len(backend.batches) == before + 1


async def test_a_caller_that_floods_the_server_does_not_shut_others_out() -> None:
    backend = BlockingBackend()
    async with (
        serve_fakes({"en-pt": backend, "pt-en": EchoBackend()}, max_requests=16) as server,
        connect_alone(server) as greedy,
        connect_alone(server) as polite,
    ):
        flood = [asyncio.ensure_future(call(greedy, f"Flood {number}.")) for number in range(100)]
        await until(lambda: sum(call.done() for call in flood) == 100 - 14)
        refused = [call.exception() for call in flood if call.done()]
        assert {error.code() for error in refused if isinstance(error, grpc.aio.AioRpcError)} == {
            grpc.StatusCode.RESOURCE_EXHAUSTED
        }
        answer = asyncio.ensure_future(call(polite, "One sentence."))
        await until(lambda: server.admission.active == 15)
        backend.release.set()
        assert (await answer).results[0].translations[0].translated_text == "One sentence."
        await asyncio.gather(*flood, return_exceptions=True)
        await until(lambda: server.admission.active == 0)
        await assert_nothing_is_left(server)


async def test_a_call_whose_deadline_is_shorter_than_the_queue_is_refused_with_the_time_to_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = EchoBackend()
    async with serve_fakes({"en-pt": backend, "pt-en": EchoBackend()}) as server:
        monkeypatch.setattr(await find_queue(server), "estimate_wait", lambda *_: 7.0)
        before = len(backend.batches)
        async with connect(server, seconds=10.0) as client:
            with pytest.raises(OverloadedError) as refused:
                await client.translate("A sentence.", source="en", target="pt")
            with pytest.raises(OverloadedError):
                await client.translate("The committee meets again on Tuesday.", target="pt")
            assert (await client.translate("Uma frase.", source="pt", target="en")).text == "Uma frase."
        assert refused.value.retry_after == 7.0
        assert len(backend.batches) == before
        async with connect(server, seconds=100.0) as client:
            assert (await client.translate("A sentence.", source="en", target="pt")).text == "A sentence."


async def test_usage_counts_cached_segments() -> None:
    async with serve_fakes(segment_cache_mb=1) as server, connect_alone(server) as stub:
        first = await call(stub, "Here is one sentence. There comes another one.")
        again = await call(stub, "There comes another one. A third is last.")
        fresh = await call(stub, "Here is one sentence. There comes another one.", disable_cache=True)
    assert [answer.usage.cached_segments for answer in (first, again, fresh)] == [0, 1, 0]
    assert again.usage.segments == 2
    assert again.usage.input_tokens < first.usage.input_tokens


async def test_a_cached_translation_is_an_error_where_the_caller_lists_its_flag() -> None:
    request = translation_pb2.TranslateTextRequest(
        contents=["One sentence."], source_language_code="en", target_language_codes=["pt"]
    )
    request.options.error_flags.append(types_pb2.FLAG_CACHED)
    async with serve_fakes(segment_cache_mb=1) as server, connect_alone(server) as stub:
        first = await stub.TranslateText(request)
        again = await stub.TranslateText(request)
    computed, cached = (answer.results[0].translations[0] for answer in (first, again))
    assert computed.translated_text
    assert not computed.HasField("error")
    assert cached.HasField("error")
    assert not cached.translated_text


async def call(
    stub: translation_pb2_grpc.TranslationServiceAsyncStub,
    *texts: str,
    disable_cache: bool = False,
    timeout: float | None = None,  # noqa: ASYNC109 (gRPC's)
) -> translation_pb2.TranslateTextResponse:
    request = translation_pb2.TranslateTextRequest(
        contents=texts, source_language_code="en", target_language_codes=["pt"]
    )
    request.options.disable_cache = disable_cache
    return await stub.TranslateText(request, timeout=timeout)
