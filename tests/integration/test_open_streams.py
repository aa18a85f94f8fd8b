"""Open streams and changes of access: each message meets the keys, scopes, certificates and quotas of now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc
from latimer_server.config.key_editing import create_key, revoke_key, rotate_key
from latimer_server.config.key_file import KeyEntry
from latimer_server.core.access import Scope
from latimer_server.rpc import access_control
from latimer_server.rpc.auth import Authenticator
from latimer_server.rpc.server import LatimerServer
from tests.fakes import serve_fakes
from tests.integration.test_keys import bearer, make_key
from tests.integration.test_tls import settings as tls_settings
from tests.unit.test_certificates import issue

CONFIG = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


class Stream:
    """An open translation stream, whose items are answered one by one."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Any = ()) -> None:
        stub: Any = translation_pb2_grpc.TranslationServiceStub(channel)
        self._call = stub.StreamTranslateText(metadata=metadata)
        self._sent = 0

    async def ask(self, text: str = "A text.") -> None:
        """Sends an item and reads its result. Raises the status of a stream that has ended."""
        item = pb.StreamItem(item_id=str(self._sent), content=text)
        message = pb.StreamTranslateTextRequest(config=None if self._sent else CONFIG, items=[item])
        self._sent += 1
        await self._call.write(message)
        answer = await self._call.read()
        assert isinstance(answer, pb.StreamTranslateTextResponse)
        assert answer.results[0].item_id == item.item_id

    async def close(self) -> None:
        """Ends the stream and waits for its status."""
        await self._call.done_writing()
        assert (await self._call.read()).HasField("usage")
        assert await self._call.read() is grpc.aio.EOF
        assert await self._call.code() is grpc.StatusCode.OK

    async def fail(self) -> tuple[grpc.StatusCode, str]:
        """Sends an item to a stream that refuses it; returns the status and its message."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.ask()
        return refused.value.code(), refused.value.details() or ""


def open_reflection(channel: grpc.aio.Channel, metadata: Any) -> Any:
    """Opens a stream of server reflection."""
    method: Any = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    return method(metadata=metadata)


@asynccontextmanager
async def serve_key(tmp_path: Path, **fields: Any) -> AsyncIterator[tuple[LatimerServer, grpc.aio.Channel, Path, Any]]:
    """Serves a key with the scope `translate`. Yields the server, a channel, the key file and the key's metadata."""
    keys = tmp_path / "keys.toml"
    metadata = bearer(make_key(keys, "shop", Scope.TRANSLATE, **fields))
    async with (
        serve_fakes(keys=keys) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield server, channel, keys, metadata


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda keys: rotate_key(keys, "shop", timedelta(0)), UNAUTHENTICATED, "have been revoked"),
        (lambda keys: revoke_key(keys, "shop"), UNAUTHENTICATED, "have been revoked"),
        (partial(rewrite, old="translate", new="summarize"), DENIED, "lacks the scope `translate`"),
        (partial(rewrite, old="keys.shop", new="keys.store"), UNAUTHENTICATED, "another key now"),
    ],
    ids=["rotated", "revoked", "other scope", "renamed"],
)
async def test_a_stream_ends_with_the_status_that_a_new_call_would_get(
    tmp_path: Path, change: Callable[[Path], object], code: grpc.StatusCode, message: str
) -> None:
    async with serve_key(tmp_path) as (server, channel, keys, metadata):
        stream = Stream(channel, metadata)
        await stream.ask()
        change(keys)
        server.reloads.poll()
        found, details = await stream.fail()
        assert found is code
        assert message in details


async def test_a_stream_goes_on_while_its_key_changes_in_other_ways(tmp_path: Path) -> None:
    async with serve_key(tmp_path) as (server, channel, keys, metadata):
        stream = Stream(channel, metadata)
        await stream.ask()
        make_key(keys, "other", Scope.SUMMARIZE)
        rotate_key(keys, "shop", timedelta(hours=1))
        server.reloads.poll()
        await stream.ask()


async def test_a_stream_of_the_old_secret_ends_with_the_overlap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).timestamp()
    monkeypatch.setattr(access_control, "Authenticator", partial(Authenticator, clock=lambda: now))
    async with serve_key(tmp_path) as (server, channel, keys, metadata):
        stream = Stream(channel, metadata)
        await stream.ask()
        fresh = bearer(rotate_key(keys, "shop", timedelta(hours=1)))
        server.reloads.poll()
        later = Stream(channel, fresh)
        await stream.ask()
        now += 3_700
        assert (await stream.fail())[0] is UNAUTHENTICATED
        await later.ask()


async def test_a_stream_of_a_removed_token_ends(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame\nother\n")
    async with (
        serve_fakes(auth_tokens=tokens) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stream = Stream(channel, bearer("sesame"))
        await stream.ask()
        tokens.write_text("other\n")
        server.reloads.poll()
        assert (await stream.fail())[0] is UNAUTHENTICATED


@pytest.mark.parametrize("moves", [False, True], ids=["removed", "moved to another key"])
async def test_a_stream_ends_when_its_key_loses_the_name_of_the_certificate(
    tmp_path: Path,
    moves: bool,
) -> None:
    authority, keys = trustme.CA(), tmp_path / "keys.toml"
    files = issue(tmp_path, authority)
    scopes = frozenset({Scope.TRANSLATE})
    create_key(keys, "shop", KeyEntry(certificates=("shop.example",), scopes=scopes))
    create_key(keys, "other", KeyEntry(certificates=("other.example",), scopes=scopes))
    client = authority.issue_cert("shop.example")
    credentials = grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(), client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
    )
    async with (
        serve_fakes(**tls_settings(files, clients=True), keys=keys) as server,
        grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel,
    ):
        stream = Stream(channel)
        await stream.ask()
        rewrite(keys, '"shop.example"', '"gone.example"')
        if moves:
            rewrite(keys, '"other.example"', '"shop.example"')
        server.reloads.poll()
        assert (await stream.fail())[0] is UNAUTHENTICATED


async def test_a_reflection_stream_of_a_rotated_key_ends_with_its_next_question(tmp_path: Path) -> None:
    async with serve_key(tmp_path) as (server, channel, keys, metadata):
        call = open_reflection(channel, metadata)
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        await call.write(question)
        assert (await call.read()).list_services_response.service
        rotate_key(keys, "shop", timedelta(0))
        server.reloads.poll()
        await call.write(question)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is UNAUTHENTICATED


async def test_each_question_of_a_reflection_stream_counts_as_a_request(tmp_path: Path) -> None:
    async with serve_key(tmp_path, requests_per_minute=3, concurrent=1) as (_, channel, _, metadata):
        call = open_reflection(channel, metadata)
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        for _ in range(3):
            await call.write(question)
            assert (await call.read()).list_services_response.service
        await call.write(question)
        with pytest.raises(grpc.aio.AioRpcError, match="has used its 3 requests of the last minute") as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_two_keys_that_hold_all_reflection_streams_make_room_for_a_third(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    secrets = [make_key(keys, name, Scope.TRANSLATE) for name in ("one", "two", "three")]
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    async with serve_fakes(keys=keys) as server, AsyncExitStack() as opened:

        async def ask(secret: str) -> Any:
            """Opens a reflection stream on a connection of its own, and returns the call after its first answer."""
            options = [("grpc.use_local_subchannel_pool", 1)]
            address = f"127.0.0.1:{server.port}"
            channel = await opened.enter_async_context(grpc.aio.insecure_channel(address, options))
            call = open_reflection(channel, bearer(secret))
            await call.write(question)
            assert (await call.read()).list_services_response.service
            return call

        held = [await ask(secret) for secret in secrets[:2] * 8]
        third = await ask(secrets[2])
        assert await held[0].code() is grpc.StatusCode.CANCELLED
        await third.write(question)
        assert (await third.read()).list_services_response.service
        assert not any(call.done() for call in held[1:])


async def test_a_watch_of_a_rotated_key_ends_and_one_without_a_key_goes_on(tmp_path: Path) -> None:
    async with serve_key(tmp_path) as (server, channel, keys, metadata):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        known, stranger = (stub.Watch(health_pb2.HealthCheckRequest(), metadata=given) for given in (metadata, ()))
        for watch in (known, stranger):
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        rotate_key(keys, "shop", timedelta(0))
        server.reloads.poll()
        assert await known.code() is UNAUTHENTICATED
        assert not stranger.done()
        stranger.cancel()


@pytest.mark.parametrize(("before", "after"), [("1000", "10"), ("10", "1000")], ids=["lowered", "raised"])
async def test_a_stream_has_the_quotas_that_its_key_has_now(tmp_path: Path, before: str, after: str) -> None:
    async with serve_key(tmp_path, characters_per_minute=int(before)) as (server, channel, keys, metadata):
        stream = Stream(channel, metadata)
        await stream.ask("1234567")
        rewrite(keys, f"characters_per_minute = {before}", f"characters_per_minute = {after}")
        server.reloads.poll()
        if after == "10":
            code, details = await stream.fail()
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "7 of its 10 characters" in details
        else:
            await stream.ask("123456789")


async def test_the_place_of_a_call_is_given_back_when_its_key_has_lost_the_quota(tmp_path: Path) -> None:
    async with serve_key(tmp_path, concurrent=1) as (server, channel, keys, metadata):
        stream = Stream(channel, metadata)
        await stream.ask()
        text = keys.read_text("utf-8")
        rewrite(keys, "concurrent = 1\n", "")
        server.reloads.poll()
        await stream.ask()
        await stream.close()
        keys.write_text(text, "utf-8")
        server.reloads.poll()
        await Stream(channel, metadata).ask()
