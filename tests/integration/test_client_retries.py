"""Retries and timeouts of both clients, and calls to several servers."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from latimer import (
    AsyncClient,
    Client,
    ConnectionFailedError,
    DeadlineExceededError,
    OverloadedError,
    Retry,
)
from latimer.v1 import translation_pb2 as pb
from latimer_server.rpc.server import LatimerServer
from tests.scripted_server import EN_PT, FAST, ScriptedServer, Translate


async def test_unavailable_is_tried_again_as_the_call_says(translate: Translate) -> None:
    gone = (grpc.StatusCode.UNAVAILABLE, 0.0)
    server = ScriptedServer([gone, gone, None, gone, gone])
    async with server.serve() as address:
        assert (await translate(address, "a", {"retry": FAST})).text == "A"
        assert server.calls == 3
        with pytest.raises(ConnectionFailedError) as raised:
            await translate(address, "a", {}, retry=Retry(attempts=1))
        assert (server.calls, raised.value.request_id) == (4, "call-4")


async def test_a_full_server_is_tried_again_on_request_after_its_delay(translate: Translate) -> None:
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, 0.02)
    server = ScriptedServer([full, full, None, full])
    async with server.serve() as address:
        found = await translate(address, "a", {}, retry=Retry(overloaded=True, first_delay=0.0, max_delay=0.0))
        assert (found.text, server.calls) == ("A", 3)
        with pytest.raises(OverloadedError) as raised:
            await translate(address, "a", {})
        assert (raised.value.retry_after, server.calls) == (0.02, 4)


async def test_a_retry_that_would_begin_after_the_timeout_is_left_out(translate: Translate) -> None:
    server = ScriptedServer([(grpc.StatusCode.RESOURCE_EXHAUSTED, 60.0)])
    async with server.serve() as address:
        with pytest.raises(OverloadedError):
            await translate(address, "a", {"timeout": 20}, retry=Retry(overloaded=True))
    assert server.calls == 1


async def test_an_error_of_a_call_is_in_every_item_of_a_list_with_its_request_id(translate: Translate) -> None:
    server = ScriptedServer([(grpc.StatusCode.INTERNAL, 0.0)])
    async with server.serve() as address:
        results = await translate(address, ["a", None, "b"], {})
    assert [result.error.request_id for result in results] == ["call-1", "", "call-1"]


async def test_a_call_that_takes_too_long_is_an_error_of_every_item(translate: Translate) -> None:
    class Slow(ScriptedServer):
        async def answer(self, request: pb.TranslateTextRequest, context: Any) -> pb.TranslateTextResponse:
            await asyncio.Event().wait()
            raise AssertionError

    async with Slow().serve() as address:
        with pytest.raises(DeadlineExceededError):
            await translate(address, "a", {}, timeout=0.05)
        results = await translate(address, ["a"] * 2_000, {}, timeout=0.05)
    assert len(results) == 2_000
    assert all(isinstance(result.error, DeadlineExceededError) for result in results)


async def test_calls_take_turns_among_servers(translate: Translate) -> None:
    servers = [ScriptedServer(), ScriptedServer()]
    texts = ["a"] * 6 * 1_024  # six requests
    async with servers[0].serve() as first, servers[1].serve() as second:
        results = await translate(f"{first},{second}", texts, {})
    assert {result.text for result in results} == {"A"}
    assert [server.calls for server in servers] == [3, 3]


async def test_a_server_that_cannot_be_reached_is_left_out(translate: Translate) -> None:
    server = ScriptedServer()
    async with server.serve() as address:
        results = await translate(["127.0.0.1:1", address], ["a"] * 4 * 1_024, {})
    assert {result.text for result in results} == {"A"}
    assert server.calls == 4


async def test_a_stream_goes_to_a_server_that_can_be_reached(server: LatimerServer) -> None:
    addresses = ["127.0.0.1:1", f"127.0.0.1:{server.port}"]
    async with AsyncClient(addresses, stream_retry_delay=0.001) as client:
        assert [str(item) async for item in client.translate_many(["A text."], **EN_PT)] == ["A text."]

    def run() -> list[str]:
        with Client(addresses, stream_retry_delay=0.001) as client:
            return [str(item) for item in client.translate_many(["A text."], **EN_PT)]

    assert await asyncio.to_thread(run) == ["A text."]
