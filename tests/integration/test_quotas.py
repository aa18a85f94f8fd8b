"""Quotas as callers notice them: refusals with what to do, and what is left in the trailing metadata."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc
from latimer_server.core.access import Scope
from tests.fakes import BlockingBackend, serve_fakes
from tests.integration.test_keys import bearer, make_key
from tests.streams import until

Stub: TypeAlias = "translation_pb2_grpc.TranslationServiceAsyncStub"


@asynccontextmanager
async def serve(
    tmp_path: Path, settings: dict[str, Any] | None = None, **quotas: int
) -> AsyncIterator[tuple[Stub, Any]]:
    """Serves one key with quotas. Yields a stub and the key's metadata."""
    keys = tmp_path / "keys.toml"
    metadata = bearer(make_key(keys, "shop", Scope.TRANSLATE, **quotas))
    async with (
        serve_fakes(keys=keys, **(settings or {})) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield translation_pb2_grpc.TranslationServiceStub(channel), metadata


def request(*texts: str) -> pb.TranslateTextRequest:
    return pb.TranslateTextRequest(contents=texts, source_language_code="en", target_language_codes=["pt"])


async def call(stub: Stub, metadata: Any, *texts: str) -> dict[str, str | bytes]:
    """Returns the trailing metadata of a call."""
    calling = stub.TranslateText(request(*texts), metadata=metadata)
    await calling
    return dict(await calling.trailing_metadata() or ())


async def fail(stub: Stub, metadata: Any, *texts: str) -> tuple[grpc.StatusCode, dict[str, Any]]:
    """Returns the status of a call and the details of its error by the name of their type."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(stub, metadata, *texts)
    status = status_pb2.Status.FromString(dict(refused.value.trailing_metadata())["grpc-status-details-bin"])
    details = {}
    for detail in status.details:
        message = getattr(error_details_pb2, detail.TypeName().rpartition(".")[2])()
        detail.Unpack(message)
        details[type(message).__name__] = message
    return refused.value.code(), details


async def test_requests_beyond_the_quota_are_refused_with_the_time_to_retry(tmp_path: Path) -> None:
    async with serve(tmp_path, requests_per_minute=2) as (stub, metadata):
        left = [(await call(stub, metadata, "A text."))["x-ratelimit-remaining-requests"] for _ in range(2)]
        assert left == ["1", "0"]
        code, details = await fail(stub, metadata, "A text.")
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details["ErrorInfo"].reason == "QUOTA_REQUESTS"
        assert 50 < details["RetryInfo"].retry_delay.ToSeconds() <= 61
        (violation,) = details["QuotaFailure"].violations
        assert (violation.subject, violation.description) == ("key:shop", "requests_per_minute: at most 2")


async def test_characters_beyond_the_quota_are_refused(tmp_path: Path) -> None:
    async with serve(tmp_path, characters_per_minute=10) as (stub, metadata):
        trailing = await call(stub, metadata, "1234", "567")
        assert trailing["x-ratelimit-limit-characters"] == "10"
        assert trailing["x-ratelimit-remaining-characters"] == "3"
        code, details = await fail(stub, metadata, "1234")
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_CHARACTERS")
        assert (await call(stub, metadata, "123"))["x-ratelimit-remaining-characters"] == "0"


async def test_a_request_above_its_whole_quota_can_never_be_served(tmp_path: Path) -> None:
    async with serve(tmp_path, characters_per_minute=10) as (stub, metadata):
        code, details = await fail(stub, metadata, "12345678901")
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        (violation,) = details["BadRequest"].field_violations
        assert violation.field == "contents"
        assert "11 characters; the key has 10 a minute" in violation.description


async def test_calls_at_a_time_are_bounded_and_a_place_is_free_when_one_ends(tmp_path: Path) -> None:
    backend = BlockingBackend()
    keys = tmp_path / "keys.toml"
    metadata = bearer(make_key(keys, "shop", Scope.TRANSLATE, concurrent=1))
    async with (
        serve_fakes({"en-pt": backend}, keys=keys) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        first = asyncio.ensure_future(call(stub, metadata, "A text."))
        await until(lambda: backend.running == 1)
        code, details = await fail(stub, metadata, "A text.")
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_CONCURRENT")
        backend.release.set()
        await first
        await call(stub, metadata, "A text.")


async def collect(responses: Any, answered: list[str]) -> None:
    """Adds the ids of the results of a stream."""
    async for response in responses:
        answered += [result.item_id for result in response.results]


async def test_a_stream_answers_the_messages_within_the_quota_and_ends(tmp_path: Path) -> None:
    async with serve(tmp_path, characters_per_minute=10) as (stub, metadata):
        config = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
        messages = [
            pb.StreamTranslateTextRequest(config=config, items=[pb.StreamItem(item_id="1", content="12345")]),
            pb.StreamTranslateTextRequest(items=[pb.StreamItem(item_id="2", content="12345")]),
            pb.StreamTranslateTextRequest(items=[pb.StreamItem(item_id="3", content="1")]),
        ]
        answered: list[str] = []
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collect(stub.StreamTranslateText(iter(messages), metadata=metadata), answered)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert sorted(answered) == ["1", "2"]


async def test_the_items_of_a_message_above_the_whole_quota_are_answered_as_far_as_it_reaches(tmp_path: Path) -> None:
    async with serve(tmp_path, characters_per_minute=10) as (stub, metadata):
        config = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
        items = [pb.StreamItem(item_id=str(number), content="1234") for number in range(5)]
        answered: list[str] = []
        messages = [pb.StreamTranslateTextRequest(config=config, items=items)]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collect(stub.StreamTranslateText(iter(messages), metadata=metadata), answered)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert sorted(answered) == ["0", "1"]


async def test_a_cancelled_stream_gives_back_its_place_among_the_calls_in_work(tmp_path: Path) -> None:
    async with serve(tmp_path, concurrent=1) as (stub, metadata):
        stream = stub.StreamTranslateText(metadata=metadata)
        config = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
        items = [pb.StreamItem(item_id="1", content="A text.")]
        await stream.write(pb.StreamTranslateTextRequest(config=config, items=items))
        await stream.read()
        assert (await fail(stub, metadata, "A text."))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        stream.cancel()
        # The server notices the end of a stream a moment later.
        for _ in range(1_000):
            try:
                await call(stub, metadata, "A text.")
            except grpc.aio.AioRpcError:
                continue
            return
        pytest.fail("the place was not given back")


@pytest.fixture
def silent() -> Any:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"redis://user:hidden@127.0.0.1:{listening.getsockname()[1]}/0"


@pytest.mark.parametrize("failure", ["open", "closed"])
async def test_a_quota_store_that_hangs_delays_a_call_no_longer_than_its_timeout(
    tmp_path: Path, silent: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"quota_store": silent, "quota_store_failure": failure, "quota_store_timeout_seconds": 0.05}
    async with serve(tmp_path, settings, requests_per_minute=1) as (stub, metadata):
        if failure == "closed":
            code, details = await fail(stub, metadata, "A text.")
            assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.UNAVAILABLE, "QUOTA_STORE")
        else:
            await call(stub, metadata, "A text.")
            assert (await fail(stub, metadata, "A text."))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    (line,) = (record for record in caplog.records if record.message == "quota store failed")
    assert "Timeout" in vars(line)["cause"]
    assert "hidden" not in str(vars(line))


async def test_a_key_without_quotas_never_asks_the_store(tmp_path: Path, silent: str) -> None:
    async with serve(tmp_path, {"quota_store": silent, "quota_store_failure": "closed"}) as (stub, metadata):
        assert "x-ratelimit-limit-requests" not in await call(stub, metadata, "A text.")
