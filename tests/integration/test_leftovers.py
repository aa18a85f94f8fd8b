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


def count_aborted(garbage: list[object]) -> int:
    gc.collect()
    return sum(isinstance(item, grpc.aio.AbortError) for item in garbage)


async def test_refused_calls_leave_no_cycles(garbage: list[object]) -> None:
    async with serve_fakes() as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        for _ in range(CALLS):
            with suppress(grpc.aio.AioRpcError):
                await stub.TranslateText(request(contents=[]))
                pytest.fail("the call was not refused")
        await asyncio.sleep(0)
        assert count_aborted(garbage) == 0


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
        assert count_aborted(garbage) == 0
