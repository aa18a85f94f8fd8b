"""Health: SERVING only after the canary of a model passed, and never for a model that cannot be loaded."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast
from unittest.mock import MagicMock

import grpc
import pytest
from google.protobuf import empty_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from latimer import AsyncClient, NotServedError
from latimer_server.backends.protocol import Backend, LoadRequest
from latimer_server.config.settings import Settings
from latimer_server.core.access import Principal, Standing
from latimer_server.core.errors import Overloaded, Unauthenticated
from latimer_server.rpc.call import Call
from latimer_server.rpc.health import HealthServicer
from latimer_server.rpc.server import LatimerServer, build_server
from tests.fakes import BlockingBackend, EchoBackend, UpperBackend, make_catalog, make_entry, serve_fakes

TRANSLATION = "latimer.v1.TranslationService"
SUMMARIZATION = "latimer.v1.SummarizationService"


async def test_everything_is_serving_once_its_models_are_ready(client: AsyncClient) -> None:
    for service in ("", TRANSLATION, SUMMARIZATION, "latimer.v1.ModelService", "model:en-pt", "model:extractive"):
        assert await client.health(service) == "SERVING"
    assert await client.health("model:nothing") == "SERVICE_UNKNOWN"


async def test_nothing_is_serving_before_the_models_are_loaded() -> None:
    loading = threading.Event()

    def make(request: LoadRequest) -> Backend:
        assert loading.wait(10)
        return EchoBackend()

    catalog = make_catalog(make_entry("en-pt", "en", "pt"))
    settings = Settings(listen="127.0.0.1:0", models=("en-pt",))
    server = await build_server(settings, catalog=catalog, backend_loader=make)
    await server.start()
    preloading = asyncio.create_task(server.preload())
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        while (await client.models(state="loading")) == []:
            await asyncio.sleep(0)
        assert await client.health() == "NOT_SERVING"
        assert await client.health(TRANSLATION) == "NOT_SERVING"
        waiting = asyncio.create_task(client.translate("A text.", source="en", target="pt"))
        loading.set()
        assert (await waiting).text == "A text."  # a call waits while its model loads
        await preloading
        assert await client.health() == "SERVING"
        assert await client.health("model:en-pt") == "SERVING"
        assert await client.health("model:extractive") == "NOT_SERVING"  # not loaded
    await server.drain(0)


async def test_a_model_with_a_wrong_canary_output_is_failed_and_other_models_are_served() -> None:
    catalog = make_catalog(
        make_entry("en-pt", "en", "pt", canary="The weather is nice today and we are going to the park."),
        make_entry("pt-en", "pt", "en"),
    )
    async with (
        serve_fakes({"en-pt": EchoBackend(), "pt-en": UpperBackend()}, catalog=catalog) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        assert await client.health() == "NOT_SERVING"
        assert await client.health("model:en-pt") == "NOT_SERVING"
        assert await client.health(TRANSLATION) == "SERVING"
        states = {model.name: (model.state, model.error_message) for model in await client.models()}
        assert states["en-pt"][0] == "FAILED"
        assert "canary came out in en" in states["en-pt"][1]
        assert states["pt-en"] == ("READY", "")
        found = await client.translate(["Um texto."], source="pt", target="en")
        assert found[0].text == "UM TEXTO."


async def test_a_server_with_an_unknown_model_to_preload_is_never_healthy() -> None:
    async with serve_fakes(models=("en-pt", "typo")) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        assert await client.health() == "NOT_SERVING"
        assert await client.health("model:en-pt") == "SERVING"


async def test_concurrent_calls_load_a_model_once() -> None:
    made: list[str] = []

    def make(request: LoadRequest) -> Backend:
        made.append(request.name)
        return EchoBackend()

    server = await build_server(
        Settings(listen="127.0.0.1:0", models=()),
        catalog=make_catalog(make_entry("en-pt", "en", "pt")),
        backend_loader=make,
    )
    await server.start()
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await asyncio.gather(*(client.translate("A text.", source="en", target="pt") for _ in range(20)))
    await server.drain(0)
    assert made == ["en-pt"]


async def test_health_answers_while_a_batch_runs() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}) as server,
        AsyncClient(f"127.0.0.1:{server.port}", timeout=10) as client,
    ):
        busy = asyncio.create_task(client.translate("A text.", source="en", target="pt"))
        await asyncio.to_thread(blocking.started.wait, 10)
        assert await client.health() == "SERVING"
        assert not busy.done()
        blocking.release.set()
        await busy


async def test_a_draining_server_reports_it_and_finishes_calls_in_flight() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        in_flight = asyncio.create_task(client.translate("A text.", source="en", target="pt"))
        await asyncio.to_thread(blocking.started.wait, 10)
        drained = asyncio.create_task(server.drain(10))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await watch.read() is grpc.aio.EOF
        assert not drained.done()
        blocking.release.set()
        assert (await in_flight).text == "A text."
        await drained


@pytest.mark.parametrize(("services", "refused"), [(1_000, False), (1_001, True)])
def test_all_services_are_listed_or_the_list_is_refused(services: int, refused: bool) -> None:
    servicer = HealthServicer(max_watches=1)
    for number in range(services):
        servicer.set(f"model:{number}", health_pb2.HealthCheckResponse.SERVING)
    listing = servicer.List(
        empty_pb2.Empty(),
        Call("", "", Principal("", standing=Standing.OPEN), None),
        MagicMock(spec=grpc.ServicerContext),
    )
    if refused:
        with pytest.raises(Overloaded, match="1001 services"):
            next(listing)
    else:
        assert len(cast(Any, next(listing)).statuses) == services


async def test_a_watch_ends_when_its_credentials_expire_without_another_status() -> None:
    servicer = HealthServicer(max_watches=1)
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    context, call = MagicMock(spec=grpc.ServicerContext), MagicMock(spec=Call)
    context.peer.return_value = "ipv4:192.0.2.1:5000"
    call.principal, call.caller, call.access_seconds_left = Principal("key:shop"), "key:shop", 0.0
    call.renew_access.side_effect = [None, None, Unauthenticated("the key of this call has expired")]
    watch = servicer.Watch(health_pb2.HealthCheckRequest(), call, context)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    try:
        with pytest.raises(Unauthenticated):
            await asyncio.wait_for(asyncio.to_thread(next, watch), 30)
    finally:
        servicer.drain()  # or a watch that goes on would hold its thread


async def test_reflection_lists_the_services(server: LatimerServer) -> None:
    def list_services() -> set[str]:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            return set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert await asyncio.to_thread(list_services) >= {
        TRANSLATION,
        SUMMARIZATION,
        "latimer.v1.ModelService",
        "grpc.health.v1.Health",
    }


async def test_a_watcher_of_health_does_not_delay_a_drain() -> None:
    async with serve_fakes() as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        await asyncio.wait_for(server.drain(600), 30)
        watch.cancel()


async def test_a_model_that_failed_is_tried_again_later() -> None:
    broken = True

    def make(request: LoadRequest) -> Backend:
        if broken:
            raise MemoryError
        return EchoBackend()

    server = await build_server(
        Settings(listen="127.0.0.1:0", models=("en-pt",)),
        catalog=make_catalog(make_entry("en-pt", "en", "pt")),
        backend_loader=make,
    )
    await server.start()
    await server.preload()
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        assert [model.state for model in await client.models(task="translation")] == ["FAILED"]
        broken = False
        with pytest.raises(NotServedError):
            await client.translate("A text.", source="en", target="pt")
        server.pool.retry_seconds = 0.0
        assert (await client.translate("A text.", source="en", target="pt")).text == "A text."
        assert await client.health() == "SERVING"
    await server.drain(0)


async def test_a_preloaded_model_that_failed_is_tried_again_without_a_call() -> None:
    tries = 0

    def make(request: LoadRequest) -> Backend:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise MemoryError
        return EchoBackend()

    server = await build_server(
        Settings(listen="127.0.0.1:0", models=("en-pt",)),
        catalog=make_catalog(make_entry("en-pt", "en", "pt")),
        backend_loader=make,
    )
    server.pool.retry_seconds = 0.0
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.preload()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
    await server.drain(0)
    assert tries == 3


def open_channel(server: LatimerServer, **options: Any) -> grpc.aio.Channel:
    """Returns a channel with a connection of its own."""
    pairs = [("grpc.use_local_subchannel_pool", 1), *options.items()]
    return grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=pairs)


async def test_strangers_do_not_keep_out_the_watches_of_others() -> None:
    async with (
        serve_fakes(max_watches=4) as server,
        open_channel(server) as one,
        open_channel(server) as two,
        open_channel(server) as three,
    ):
        request = health_pb2.HealthCheckRequest()
        held = [cast(Any, health_pb2_grpc.HealthStub(channel)).Watch(request) for channel in (one, one, two, two)]
        for watch in held:
            await watch.read()
        late = cast(Any, health_pb2_grpc.HealthStub(three)).Watch(request)
        assert (await late.read()).status == health_pb2.HealthCheckResponse.SERVING
        ended = await asyncio.wait_for(next(asyncio.as_completed([watch.code() for watch in held])), 10)
        assert ended is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert [watch.done() for watch in held].count(True) == 1
        for watch in (*held, late):
            watch.cancel()


async def test_a_client_with_health_checks_is_served_beside_strangers_with_many_watches() -> None:
    service_config = '{"healthCheckConfig": {"serviceName": ""}, "loadBalancingConfig": [{"round_robin": {}}]}'
    async with (
        serve_fakes(max_watches=4) as server,
        open_channel(server) as one,
        open_channel(server) as two,
        open_channel(server, **{"grpc.service_config": service_config}) as checked,
    ):
        request = health_pb2.HealthCheckRequest()
        held = [cast(Any, health_pb2_grpc.HealthStub(channel)).Watch(request) for channel in (one, one, two, two)]
        for watch in held:
            await watch.read()
        check: Any = health_pb2_grpc.HealthStub(checked)
        assert (await check.Check(request, timeout=10)).status == health_pb2.HealthCheckResponse.SERVING
        for watch in held:
            watch.cancel()
