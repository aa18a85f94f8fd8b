"""ModelService over a real channel: loading, unloading, memory, and the choice of models by language or name."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks.service.model_churn import MOST_GROWTH, Shape, churn
from latimer import AsyncClient, LatimerError, NotServedError, PermissionDeniedError
from latimer.v1 import models_pb2, models_pb2_grpc, translation_pb2, translation_pb2_grpc
from latimer_server.backends.protocol import Backend, Encoding, LoadRequest
from latimer_server.config.settings import Settings
from latimer_server.core.decoding import LanguagePair
from latimer_server.models.catalog.catalog import CatalogEntry, FileEntry, Task
from latimer_server.rpc.server import LatimerServer, PreloadError, build_server
from tests.fakes import BlockingBackend, EchoBackend, UpperBackend, make_catalog, make_entry, serve_fakes

ANY = LanguagePair()
READY, AVAILABLE = models_pb2.MODEL_STATE_READY, models_pb2.MODEL_STATE_AVAILABLE


@asynccontextmanager
async def connect(server: LatimerServer) -> AsyncIterator[tuple[AsyncClient, Any]]:
    """Opens a client and a stub of ModelService, for which the client has no methods."""
    address = f"127.0.0.1:{server.port}"
    async with AsyncClient(address, timeout=30) as client, grpc.aio.insecure_channel(address) as channel:
        yield client, models_pb2_grpc.ModelServiceStub(channel)


async def state_of(stub: Any, name: str) -> str:
    """Returns the state of a model from GetModel."""
    found = (await stub.GetModel(models_pb2.GetModelRequest(name=name))).model
    return models_pb2.ModelState.Name(found.state).removeprefix("MODEL_STATE_")


async def until(condition: Callable[[], Any]) -> None:
    """Awaits the condition until it is true; at most 10 seconds."""
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0)


async def test_a_model_is_loaded_and_unloaded_on_request() -> None:
    async with serve_fakes(models=("pt-en",), admin=True) as server, connect(server) as (client, stub):
        loaded = await stub.LoadModel(models_pb2.LoadModelRequest(name="en-pt"))
        assert loaded.model.state == READY
        assert loaded.model.backend == "fake"  # the name of the backend, not that of the entry
        assert loaded.model.memory_bytes == 1_000
        assert await client.health("model:en-pt") == "SERVING"
        unloaded = await stub.UnloadModel(models_pb2.UnloadModelRequest(name="en-pt"))
        assert unloaded.model.state == AVAILABLE
        assert unloaded.model.memory_bytes == 0
        await until(lambda: _is(client, "model:en-pt", "NOT_SERVING"))
        assert await client.health() == "SERVING"  # the model is not one to preload
        again = await stub.UnloadModel(models_pb2.UnloadModelRequest(name="en-pt"))
        assert again.model.state == AVAILABLE
        assert (await client.translate("A text.", source="en", target="pt")).text == "A text."


async def _is(client: AsyncClient, service: str, status: str) -> bool:
    return await client.health(service) == status


async def test_an_unloaded_model_first_finishes_its_calls_and_new_ones_load_it_again() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}, admin=True) as server,
        connect(server) as (client, stub),
    ):
        in_flight = asyncio.create_task(client.translate("A text.", source="en", target="pt"))
        await asyncio.to_thread(blocking.started.wait, 10)
        unloading = asyncio.ensure_future(stub.UnloadModel(models_pb2.UnloadModelRequest(name="en-pt")))
        await until(lambda: _in_state(stub, "en-pt", "DRAINING"))
        again = asyncio.create_task(client.translate("Another.", source="en", target="pt"))
        await until(lambda: _in_state(stub, "en-pt", "LOADING"))
        assert not in_flight.done()
        assert not unloading.done()
        blocking.release.set()
        assert (await in_flight).text == "A text."
        assert (await again).text == "Another."
        assert (await unloading).model.state in (READY, models_pb2.MODEL_STATE_LOADING)


async def _in_state(stub: Any, name: str, state: str) -> bool:
    return await state_of(stub, name) == state


async def test_a_failed_load_says_why_and_may_be_repeated_at_once() -> None:
    broken = True

    def make(request: LoadRequest) -> Backend:
        if broken:
            raise MemoryError
        return EchoBackend()

    catalog = make_catalog(make_entry("en-pt", "en", "pt"))
    settings = Settings(listen="127.0.0.1:0", models=(), admin=True)
    server = await build_server(settings, catalog=catalog, backend_loader=make)
    await server.start()
    async with connect(server) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.LoadModel(models_pb2.LoadModelRequest(name="en-pt"))
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        assert "model en-pt failed to load: MemoryError" in str(raised.value.details())
        assert await state_of(stub, "en-pt") == "FAILED"
        broken = False
        assert (await stub.LoadModel(models_pb2.LoadModelRequest(name="en-pt"))).model.state == READY
    await server.drain(0)


@pytest.mark.parametrize("method", ["LoadModel", "UnloadModel"])
async def test_changing_models_needs_a_name_that_exists(method: str) -> None:
    async with serve_fakes(admin=True) as server, connect(server) as (_, stub):
        request = getattr(models_pb2, f"{method}Request")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await getattr(stub, method)(request())
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "name: is required" in str(raised.value.details())
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await getattr(stub, method)(request(name="nothing"))
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_without_admin_models_cannot_be_changed(server: LatimerServer) -> None:
    async with connect(server) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.UnloadModel(models_pb2.UnloadModelRequest(name="en-pt"))
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert b"ADMIN_DISABLED" in dict(raised.value.trailing_metadata() or ())["grpc-status-details-bin"]
        assert issubclass(PermissionDeniedError, LatimerError)
        assert await state_of(stub, "en-pt") == "READY"


async def test_a_model_larger_than_the_memory_bound_is_refused_with_both_figures() -> None:
    big, small = EchoBackend(), EchoBackend()
    big.memory_bytes = 5 << 20
    catalog = make_catalog(make_entry("en-pt", "en", "pt"), make_entry("en-de", "en", "de"))
    async with (
        serve_fakes(
            {"en-pt": big, "en-de": small}, catalog=catalog, models=("extractive",), max_model_memory="2MiB"
        ) as server,
        connect(server) as (client, stub),
    ):
        with pytest.raises(NotServedError, match=r"model en-pt needs 5\.0 MiB; max_model_memory is 2\.0 MiB"):
            await client.translate("A text.", source="en", target="pt")
        assert await state_of(stub, "en-pt") == "FAILED"
        assert (await client.translate("A text.", source="en", target="de")).text == "A text."


async def test_a_server_serves_more_models_than_its_memory_holds() -> None:
    backends = {f"en-{code}": UpperBackend() for code in ("pt", "de", "fr", "es", "it")}
    async with serve_fakes(backends, models=(), max_model_memory="2500") as server, connect(server) as (client, _):
        calls = [client.translate("a text.", source="en", target=name[3:]) for _ in range(8) for name in backends]
        assert {result.text for result in await asyncio.gather(*calls)} == {"A TEXT."}
        held = [model.memory_bytes for model in await client.models()]
        assert 0 < sum(held) <= 2_500


TOKENS = ("por", "pob", "cmn_Hans", "cmn_Hant", "nob", "nno", "heb", "ind", "tgl_Latn", "srp_Cyrl", "srp_Latn", "fra")


class Parrot(EchoBackend):
    """A model of many targets that writes the token of its target before the text."""

    def encode(self, texts: Sequence[str], languages: LanguagePair = ANY) -> list[Encoding]:
        return super().encode([f"{self.tokens[languages.target]}: {text}" for text in texts])

    def __init__(self, request: LoadRequest) -> None:
        super().__init__()
        self.tokens = request.languages


@asynccontextmanager
async def serve_parrot(folder: Path, names: Sequence[str], **keys: Any) -> AsyncIterator[AsyncClient]:
    """Runs a server of one Marian model whose vocabulary has these language tokens."""
    (folder / "vocab.json").write_text(json.dumps({f">>{name}<<": i for i, name in enumerate(names)}))
    entry = CatalogEntry(
        name="parrot",
        task=Task.TRANSLATION,
        family="marian",
        backend="parrot",
        source_languages=("en",),
        source=f"dir:{folder}",
        files={"vocabulary": FileEntry(path="vocab.json")},
        **keys,
    )
    settings = Settings(listen="127.0.0.1:0", models=())
    server = await build_server(settings, catalog=make_catalog(entry), backend_loader=Parrot)
    await server.start()
    try:
        async with AsyncClient(f"127.0.0.1:{server.port}", timeout=10) as client:
            yield client
    finally:
        await server.drain(0)


@pytest.mark.parametrize(
    ("asked", "token", "resolved"),
    [
        ("pt", "por", "pt"),
        ("pt-BR", "pob", "pt-BR"),
        ("pt-PT", "por", "pt"),
        ("zh-TW", "cmn_Hant", "zh-Hant"),
        ("zh-HK", "cmn_Hant", "zh-Hant"),
        ("zh-CN", "cmn_Hans", "zh-Hans"),
        ("zh", "cmn_Hans", "zh-Hans"),
        ("no", "nob", "nb"),
        ("nb", "nob", "nb"),
        ("nn", "nno", "nn"),
        ("iw", "heb", "he"),
        ("he", "heb", "he"),
        ("in", "ind", "id"),
        ("tl", "tgl_Latn", "fil"),
        ("sr", "srp_Cyrl", "sr-Cyrl"),
        ("sr-Latn", "srp_Latn", "sr-Latn"),
        ("sh", "srp_Latn", "sr-Latn"),
        ("fr-BE", "fra", "fr"),
        ("fr-CA", "fra", "fr"),
    ],
)
async def test_a_target_is_resolved_to_a_token_of_the_model_and_echoed(
    tmp_path: Path, asked: str, token: str, resolved: str
) -> None:
    async with serve_parrot(tmp_path, TOKENS) as client:
        translation = await client.translate("A text.", source="en", target=asked)
        assert translation.text == f"{token}: A text."
        assert translation.target_language == resolved


async def test_only_languages_of_the_vocabulary_are_listed(tmp_path: Path) -> None:
    async with serve_parrot(tmp_path, ["por", "glg"], target_languages=("pt", "gl", "fr")) as client:
        (model,) = await client.models(task="translation")
        assert model.target_languages == ("pt", "gl")
        assert {pair.target_language for pair in await client.language_pairs()} == {"pt", "gl"}
        with pytest.raises(NotServedError, match="en->fr is not served; served: en->gl, en->pt"):
            await client.translate("A text.", source="en", target="fr")


async def test_a_model_whose_vocabulary_has_none_of_its_languages_is_failed(tmp_path: Path) -> None:
    async with serve_parrot(tmp_path, ["por", "glg"], target_languages=("fr",)) as client:
        (model,) = await client.models(task="translation")
        assert model.state == "FAILED"
        assert "vocabulary of parrot has none" in model.error_message
        with pytest.raises(NotServedError, match="vocabulary of parrot"):
            await client.translate("A text.", source="en", target="fr", model="parrot")


async def test_a_noncommercial_model_is_used_only_by_name() -> None:
    catalog = make_catalog(make_entry("en-pt", "en", "pt", noncommercial=True))
    async with serve_fakes({"en-pt": EchoBackend()}, catalog=catalog) as server, connect(server) as (client, _):
        assert await client.language_pairs() == []
        with pytest.raises(NotServedError):
            await client.translate("A text.", source="en", target="pt")
        assert (await client.translate("A text.", source="en", target="pt", model="en-pt")).models == ("en-pt",)


async def test_without_pivoting_no_route_has_two_models() -> None:
    backends = {"es-en": EchoBackend(), "en-pt": EchoBackend()}
    async with serve_fakes(backends) as server, connect(server) as (client, _):
        assert (await client.translate("Um texto.", source="es", target="pt")).models == ("es-en", "en-pt")
        with pytest.raises(NotServedError):
            await client.translate("Um texto.", source="es", target="pt", disable_pivot=True)
    async with serve_fakes(backends, pivoting=False) as server, connect(server) as (client, _):
        with pytest.raises(NotServedError):
            await client.translate("Um texto.", source="es", target="pt")
        assert {(pair.source_language, pair.target_language) for pair in await client.language_pairs()} == {
            ("es", "en"),
            ("en", "pt"),
        }


async def test_a_pivot_never_holds_two_models_at_once() -> None:
    backends = {"es-en": EchoBackend(), "en-pt": EchoBackend()}
    async with serve_fakes(backends, models=(), max_model_memory="1000") as server, connect(server) as (client, _):
        calls = [client.translate("Um texto.", source="es", target="pt") for _ in range(10)]
        assert {result.text for result in await asyncio.wait_for(asyncio.gather(*calls), 20)} == {"Um texto."}


async def test_language_pairs_come_in_pages(server: LatimerServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: Any = translation_pb2_grpc.TranslationServiceStub(channel)
        first = await stub.ListLanguagePairs(translation_pb2.ListLanguagePairsRequest(page_size=1))
        assert [(pair.source_language_code, pair.target_language_code) for pair in first.language_pairs] == [
            ("en", "pt")
        ]
        asked = translation_pb2.ListLanguagePairsRequest(page_size=1, page_token=first.next_page_token)
        second = await stub.ListLanguagePairs(asked)
        assert [list(pair.models) for pair in second.language_pairs] == [["pt-en"]]
        assert second.next_page_token == ""


async def test_only_models_to_preload_are_loaded_at_the_start() -> None:
    catalog = make_catalog(make_entry("en-pt", "en", "pt"), make_entry("pt-en", "pt", "en", preload=False))
    async with serve_fakes(catalog=catalog) as server, connect(server) as (client, _):
        states = {model.name: model.state for model in await client.models()}
        assert states == {"en-pt": "READY", "pt-en": "AVAILABLE", "extractive": "READY"}
        assert await client.health() == "SERVING"


async def test_a_strict_server_ends_when_a_model_cannot_be_preloaded() -> None:
    def make(request: LoadRequest) -> Backend:
        raise MemoryError

    catalog = make_catalog(make_entry("en-pt", "en", "pt"))
    settings = Settings(listen="127.0.0.1:0", models=("en-pt", "typo"), strict=True)
    server = await build_server(settings, catalog=catalog, backend_loader=make)
    await server.start()
    with pytest.raises(
        PreloadError, match=r"--strict\): model en-pt failed to load: MemoryError.*; there is no .*'typo'"
    ):
        await server.preload()
    await server.drain(0)


async def test_models_get_the_device_and_are_loaded_outside_the_batch_thread() -> None:
    seen: dict[str, str] = {}

    def make(request: LoadRequest) -> Backend:
        seen[request.device] = threading.current_thread().name
        return EchoBackend()

    settings = Settings(listen="127.0.0.1:0", models=("en-pt",), device="cuda")
    server = await build_server(settings, catalog=make_catalog(make_entry("en-pt", "en", "pt")), backend_loader=make)
    await server.start()
    await server.preload()
    await server.drain(0)
    assert seen["cuda"].startswith("load")


@pytest.mark.slow
async def test_loading_and_unloading_models_loses_no_call_and_frees_their_memory(tmp_path: Path) -> None:
    report = await churn(tmp_path, models=10, room=3, calls=300, shape=Shape(64, 256, 1))
    assert report.failures == {}
    assert report.log["model unloaded"] > 50
    assert report.operations.total() == 300
    assert report.growth <= MOST_GROWTH
