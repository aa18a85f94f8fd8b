"""Keys as callers notice them: scopes, changes of the key file while calls run, and reflection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from latimer import AsyncClient, PermissionDeniedError, UnauthenticatedError
from latimer.v1 import models_pb2, models_pb2_grpc, summarization_pb2, summarization_pb2_grpc, translation_pb2_grpc
from latimer.v1 import translation_pb2 as pb
from latimer_server.config.key_editing import create_key, revoke_key
from latimer_server.config.key_file import KeyEntry
from latimer_server.core.access import Scope
from latimer_server.rpc.server import LatimerServer
from tests.fakes import serve_fakes
from tests.integration.test_hostile_calls import TRANSLATE, in_thread
from tests.raw_http2 import RawConnection

EN_PT: dict[str, Any] = {"source": "en", "target": "pt"}


def make_key(keys: Path, name: str, *scopes: Scope, **fields: Any) -> str:
    return create_key(keys, name, KeyEntry(sha256="0" * 64, scopes=frozenset(scopes), **fields))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[LatimerServer, dict[str, str], Path]]:
    """A server with one key of each scope, the secrets of the keys by name, and the key file."""
    keys = tmp_path / "keys.toml"
    secrets = {scope.value: make_key(keys, scope, scope) for scope in Scope}
    async with serve_fakes(keys=keys, admin=True) as server:
        yield server, secrets, keys


REQUEST = pb.TranslateTextRequest(contents=["A text."], source_language_code="en", target_language_codes=["pt"])
DETECTION = pb.DetectLanguageRequest(contents=["A text."])
METHODS: list[tuple[str, Any, str, Any]] = [
    ("translate", translation_pb2_grpc.TranslationServiceStub, "TranslateText", REQUEST),
    (
        "translate",
        translation_pb2_grpc.TranslationServiceStub,
        "DetectLanguage",
        pb.DetectLanguageRequest(contents=["A"]),
    ),
    ("translate", translation_pb2_grpc.TranslationServiceStub, "ListLanguagePairs", pb.ListLanguagePairsRequest()),
    (
        "summarize",
        summarization_pb2_grpc.SummarizationServiceStub,
        "SummarizeText",
        summarization_pb2.SummarizeTextRequest(contents=["A text."], language_code="en"),
    ),
    ("admin", models_pb2_grpc.ModelServiceStub, "LoadModel", models_pb2.LoadModelRequest(name="en-pt")),
    ("admin", models_pb2_grpc.ModelServiceStub, "UnloadModel", models_pb2.UnloadModelRequest(name="pt-en")),
    ("", models_pb2_grpc.ModelServiceStub, "ListModels", models_pb2.ListModelsRequest()),
    ("", models_pb2_grpc.ModelServiceStub, "GetModel", models_pb2.GetModelRequest(name="en-pt")),
]


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)


async def call_method(channel: grpc.aio.Channel, stub: Any, name: str, request: Any, secret: str) -> grpc.StatusCode:
    """Calls a method and returns its status."""
    try:
        await getattr(stub(channel), name)(request, metadata=bearer(secret))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_a_key_opens_the_methods_of_its_scope_only(
    served: tuple[LatimerServer, dict[str, str], Path],
) -> None:
    server, secrets, _ = served
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for scope, stub, name, request in METHODS:
            found = {key: await call_method(channel, stub, name, request, secret) for key, secret in secrets.items()}
            expected = {
                key: grpc.StatusCode.OK if scope in ("", key) else grpc.StatusCode.PERMISSION_DENIED for key in secrets
            }
            assert found == expected, name
            assert await call_method(channel, stub, name, request, "wrong") is grpc.StatusCode.UNAUTHENTICATED


async def test_streams_need_the_scope_of_translation(served: tuple[LatimerServer, dict[str, str], Path]) -> None:
    server, secrets, _ = served
    async with AsyncClient(f"127.0.0.1:{server.port}", token=secrets["translate"]) as client:
        assert [t.text async for t in client.translate_many(["A text."], **EN_PT)] == ["A text."]
    async with AsyncClient(f"127.0.0.1:{server.port}", token=secrets["summarize"]) as client:
        with pytest.raises(PermissionDeniedError, match="lacks the scope `translate`"):
            _ = [t async for t in client.translate_many(["A text."], **EN_PT)]


async def test_reflection_needs_a_key_and_health_none(served: tuple[LatimerServer, dict[str, str], Path]) -> None:
    server, secrets, _ = served
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        reflect = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        answers = [answer async for answer in reflect(iter([question]), metadata=bearer(secrets["admin"]))]
        assert answers[0].list_services_response.service
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            _ = [answer async for answer in reflect(iter(()))]
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        assert await client.health() == "SERVING"


async def test_keys_change_without_a_restart(served: tuple[LatimerServer, dict[str, str], Path]) -> None:
    server, secrets, keys = served
    added = make_key(keys, "added", Scope.TRANSLATE)
    revoke_key(keys, "summarize")
    server.reloads.poll()
    async with AsyncClient(f"127.0.0.1:{server.port}", token=added) as client:
        assert (await client.translate("A text.", **EN_PT)).text == "A text."
    async with AsyncClient(f"127.0.0.1:{server.port}", token=secrets["summarize"]) as client:
        with pytest.raises(UnauthenticatedError):
            await client.summarize("A text.")


async def test_a_broken_key_file_leaves_the_old_keys(
    served: tuple[LatimerServer, dict[str, str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    server, secrets, keys = served
    keys.write_text("[keys.broken")
    server.reloads.poll()
    async with AsyncClient(f"127.0.0.1:{server.port}", token=secrets["translate"]) as client:
        assert (await client.translate("A text.", **EN_PT)).text == "A text."
    (failure,) = (record for record in caplog.records if record.message.startswith("reload failed"))
    assert str(keys) in vars(failure)["cause"]


async def test_a_stream_of_a_revoked_key_ends_with_its_next_message(
    served: tuple[LatimerServer, dict[str, str], Path],
) -> None:
    server, secrets, keys = served
    config = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = translation_pb2_grpc.TranslationServiceStub(channel).StreamTranslateText(
            metadata=bearer(secrets["translate"])
        )
        items = [pb.StreamItem(item_id="1", content="A text.")]
        await call.write(pb.StreamTranslateTextRequest(config=config, items=items))
        first = await call.read()
        assert isinstance(first, pb.StreamTranslateTextResponse)
        assert first.results[0].item_id == "1"
        revoke_key(keys, "translate")
        server.reloads.poll()
        await call.write(pb.StreamTranslateTextRequest(items=items))
        with pytest.raises(grpc.aio.AioRpcError, match="revoked"):
            await call.read()


async def test_odd_credentials_are_refused_like_wrong_ones(served: tuple[LatimerServer, dict[str, str], Path]) -> None:
    server, secrets, _ = served
    secret = secrets["translate"].encode()
    values = [b"", b"Bearer", b"Bearer \xff\xfe", b"Bearer " + secret + b"\xff", b"Bearer " + 4_000 * b"x", secret[8:]]

    def call(connection: RawConnection) -> Mapping[int, Mapping[bytes, bytes]]:
        streams = [connection.begin(TRANSLATE, [(b"authorization", value)]) for value in values]
        return connection.read_statuses(streams)

    statuses = await in_thread(server.port, call)
    assert [status[b"grpc-status"] for status in statuses.values()] == [b"16"] * len(values)
    assert len({status[b"grpc-message"] for status in statuses.values()}) == 1


def test_the_table_of_methods_has_every_method_of_the_contract() -> None:
    def list_methods() -> Iterator[str]:
        for module in (pb, summarization_pb2, models_pb2):
            for service in module.DESCRIPTOR.services_by_name.values():
                yield from (method.name for method in service.methods)

    assert sorted(list_methods()) == sorted([*(name for _, _, name, _ in METHODS), "StreamTranslateText"])


async def test_a_watch_with_a_key_is_never_refused(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    secret = make_key(keys, "shop", Scope.TRANSLATE, requests_per_minute=1)
    request = health_pb2.HealthCheckRequest()
    async with (
        serve_fakes(keys=keys, max_watches=2) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        stranger = stub.Watch(request)
        assert (await stranger.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await stub.Watch(request).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watches = []
        for _ in range(3):  # one after the other: the server may begin calls at the same time in any order
            watches.append(stub.Watch(request, metadata=bearer(secret)))
            assert (await watches[-1].read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await asyncio.wait_for(watches[0].code(), 30) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not stranger.done()
        for watch in (stranger, *watches):
            watch.cancel()


async def test_strangers_learn_neither_the_models_nor_the_version(
    served: tuple[LatimerServer, dict[str, str], Path],
) -> None:
    server, secrets, _ = served
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        method: Any = channel.unary_unary("/grpc.health.v1.Health/List")
        for metadata, is_told in (((), False), (bearer("wrong"), False), (bearer(secrets["translate"]), True)):
            call = method(b"", metadata=metadata)
            listed = await call
            assert b"latimer.v1.TranslationService" in listed
            assert (b"model:" in listed) is is_told
            assert ("x-latimer-version" in dict(await call.initial_metadata())) is is_told
        call = method(b"", metadata=(*bearer(secrets["translate"]), *bearer(secrets["admin"])))
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "x-latimer-version" not in dict(await call.trailing_metadata())


async def test_authorization_headers_that_differ_are_refused(
    served: tuple[LatimerServer, dict[str, str], Path],
) -> None:
    server, secrets, _ = served
    one, other = bearer(secrets["translate"]), bearer(secrets["admin"])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: Any = translation_pb2_grpc.TranslationServiceStub(channel)
        await stub.TranslateText(REQUEST, metadata=(*one, *one))
        for pair in ((*one, *other), (*other, *one), (*one, *bearer("wrong"))):
            with pytest.raises(grpc.aio.AioRpcError, match="2 different `authorization` headers") as refused:
                await stub.TranslateText(REQUEST, metadata=pair)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
