"""Calls that ended leave no reference cycles. Only a garbage collection would free those, and it stops every call."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress

import grpc
import pytest

from latimer.v1 import translation_pb2, translation_pb2_grpc
from tests.fakes import serve_fakes
from tests.integration.test_errors import request
from tests.streams import until

CALLS = 8


@pytest.fixture
def garbage() -> Iterator[list[object]]:
    """The objects that garbage collections find from now on. They are kept instead of freed."""
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()


def list_server_objects(garbage: list[object]) -> list[str]:
    """Returns the types of the garbage that belongs to the server or to gRPC's server."""
    gc.collect()
    kinds = [f"{type(item).__module__}.{type(item).__qualname__}" for item in garbage]
    return [kind for kind in kinds if kind.startswith(("latimer_server.", "grpc._server."))]


@pytest.mark.parametrize(
    "fields", [{"contents": []}, {"target_language_codes": ["fr"]}], ids=["in the thread", "on the loop"]
)
async def test_refused_calls_leave_no_cycles(garbage: list[object], fields: dict[str, list[str]]) -> None:
    async with serve_fakes() as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        for _ in range(CALLS):
            with suppress(grpc.aio.AioRpcError):
                await stub.TranslateText(request(**fields))
                pytest.fail("the call was not refused")
        await asyncio.sleep(0)
        assert list_server_objects(garbage) == []


async def test_refused_streams_leave_no_cycles(garbage: list[object]) -> None:
    async with serve_fakes() as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        config = translation_pb2.StreamTranslateTextConfig(source_language_code="en")
        for _ in range(CALLS):
            call = stub.StreamTranslateText(iter([translation_pb2.StreamTranslateTextRequest(config=config)]))
            with suppress(grpc.aio.AioRpcError):
                await call.read()
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        await asyncio.sleep(0)
        assert list_server_objects(garbage) == []


async def test_abandoned_streams_leave_no_cycles(garbage: list[object]) -> None:
    async with serve_fakes() as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        config = translation_pb2.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
        for _ in range(CALLS):
            call = stub.StreamTranslateText()
            await call.write(translation_pb2.StreamTranslateTextRequest(config=config))
            await call.initial_metadata()
            call.cancel()
        await until(lambda: server.streams.active == 0 and server.active_calls == 0)
        assert list_server_objects(garbage) == []
