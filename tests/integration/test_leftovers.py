"""Calls that ended leave no reference cycles. Only a garbage collection would free those, and it stops every call."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import suppress

import grpc
import pytest

from latimer import AsyncClient
from latimer.v1 import translation_pb2, translation_pb2_grpc
from latimer_server.core.errors import DeadlineExceeded
from latimer_server.scheduling import TextWork, TextWorkers
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


@pytest.mark.parametrize("size", [10, 5_000, 60_000], ids=["a word", "a page", "a chapter"])
async def test_answered_calls_leave_no_cycles(garbage: list[object], size: int) -> None:
    text = "one two. " * (size // 9 + 1)
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        for _ in range(CALLS):
            translation = await client.translate(text, source="en", target="pt")
            assert translation.text.count(".") == text.count(".")
            await client.translate(f"<p>{text}</p>", source="en", target="pt", text_format="html")
            await client.summarize(text, source="en")
            await client.detect(text)
        await asyncio.sleep(0)
        assert list_server_objects(garbage) == []


async def test_work_on_texts_that_is_withdrawn_or_late_leaves_no_cycles(garbage: list[object]) -> None:
    workers, gate = TextWorkers(), threading.Event()
    begun = asyncio.ensure_future(TextWork(workers, "one").run(5_000, gate.wait))
    withdrawn = asyncio.ensure_future(TextWork(workers, "one").run(5_000, lambda: None))
    late = asyncio.ensure_future(TextWork(workers, "two", deadline=0.0).run(5_000, lambda: None))
    await asyncio.sleep(0)
    withdrawn.cancel()
    gate.set()
    await begun
    with pytest.raises(DeadlineExceeded):
        await late
    del begun, withdrawn, late
    await asyncio.sleep(0)
    assert list_server_objects(garbage) == []
    workers.close()
