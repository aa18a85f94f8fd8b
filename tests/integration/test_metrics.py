"""The port of metrics of a real server: what calls change in it, probes, and scrapers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from latimer import AsyncClient, LatimerError
from latimer_server.config.settings import Settings
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.observability.metrics_server import Health, MetricsListenError, MetricsServer
from latimer_server.rpc.server import LatimerServer, build_server
from tests.fakes import EchoBackend, make_backends, make_catalog, make_entry
from tests.integration.scraping import find, get, probe, scrape, serve_metrics
from tests.streams import until

TRANSLATE = {"grpc_service": "latimer.v1.TranslationService", "grpc_method": "TranslateText"}


def connect(server: LatimerServer) -> AsyncClient:
    return AsyncClient(f"127.0.0.1:{server.port}")


async def test_calls_batches_words_and_tokens_are_counted() -> None:
    async with serve_metrics() as server, connect(server) as client:
        await client.translate(["One two three.", "Four five."], source="en", target="pt")
        with pytest.raises(LatimerError):
            await client.translate("One.", source="en", target="zu")
        samples = await scrape(server)
    assert find(samples, "grpc_server_started_total", **TRANSLATE) == 2
    assert find(samples, "grpc_server_handled_total", **TRANSLATE, grpc_code="OK") == 1
    assert find(samples, "grpc_server_handled_total", **TRANSLATE, grpc_code="NotFound") == 1
    assert find(samples, "grpc_server_handling_seconds_count", **TRANSLATE) == 2
    assert find(samples, "latimer_refused_total", reason="NOT_SERVED") == 1
    assert find(samples, "latimer_words_total", model="en-pt") == 5
    assert find(samples, "latimer_batch_rows_sum", model="en-pt") == 2
    assert find(samples, "latimer_queue_seconds_count", model="en-pt") == 2
    assert find(samples, "latimer_tokens_total", model="en-pt", direction="output") > 0
    assert find(samples, "latimer_model_state", model="en-pt", state="ready") == 1
    assert find(samples, "latimer_model_memory_bytes", model="en-pt") == EchoBackend.memory_bytes
    assert find(samples, "latimer_queue_depth", model="en-pt") == 0
    assert find(samples, "latimer_requests_limit") == 256


async def test_a_stream_and_a_summary_are_counted() -> None:
    async with serve_metrics() as server, connect(server) as client:
        texts = ["One two.", "Three."]
        assert [r.text async for r in client.translate_many(texts, source="en", target="pt", ordered=True)] == texts
        await client.summarize("One two. Three four. Five six. Seven eight.")
        samples = await scrape(server)
    assert find(samples, "latimer_words_total", model="en-pt") == 3
    assert find(samples, "latimer_words_total", model="extractive") == 8
    assert find(samples, "latimer_queue_seconds_count", model="extractive") == 1
    assert find(samples, "latimer_batch_rows_sum", model="extractive") == 1
    assert find(samples, "latimer_batch_seconds_sum", model="extractive") > 0
    stream = {"grpc_type": "bidi_stream", "grpc_method": "StreamTranslateText"}
    assert find(samples, "grpc_server_handled_total", **stream, grpc_code="OK") == 1


async def test_loads_of_models_are_counted_with_their_seconds() -> None:
    async with serve_metrics(models=("en-pt",)) as server, connect(server) as client:
        await client.translate("One.", source="en", target="pt")
        samples = await scrape(server)
    assert find(samples, "latimer_model_load_seconds_count", model="en-pt", outcome="ok") == 1
    assert find(samples, "latimer_model_load_seconds_sum", model="en-pt", outcome="ok") > 0


async def test_the_cache_counts_hits_and_misses() -> None:
    async with serve_metrics(segment_cache_mb=1) as server, connect(server) as client:
        for _ in range(3):
            await client.translate("One.", source="en", target="pt")
        samples = await scrape(server)
    assert find(samples, "latimer_cache_hits_total") == 2
    assert find(samples, "latimer_cache_misses_total") == 1
    assert find(samples, "latimer_cache_entries") == 1
    assert find(samples, "latimer_flags_total", flag="CACHED") == 2


async def test_methods_that_the_server_lacks_count_as_other() -> None:
    async with (
        serve_metrics() as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        for number in range(20):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(f"/any.Service/M{number}", bytes, bytes)(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        samples = await scrape(server)
    labels = {"grpc_service": "other", "grpc_method": "other"}
    assert find(samples, "grpc_server_started_total", **labels) == 20
    assert find(samples, "grpc_server_handled_total", **labels, grpc_code="Unimplemented") == 20
    assert not [name for name, own in samples if any("any.Service" in value for _, value in own)]


async def test_refused_callers_are_counted_with_the_reason(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a-good-token\n")
    async with serve_metrics(auth_tokens=tokens) as server, connect(server) as client:
        with pytest.raises(LatimerError):
            await client.translate("One.", source="en", target="pt")
        samples = await scrape(server)
    assert find(samples, "grpc_server_handled_total", **TRANSLATE, grpc_code="Unauthenticated") == 1
    assert find(samples, "latimer_refused_total", reason="UNAUTHENTICATED") == 1


async def test_readiness_names_the_models_that_are_missing() -> None:
    entry = make_entry("en-pt", "en", "pt")
    settings = Settings(listen="127.0.0.1:0", metrics="127.0.0.1:0")
    server = await build_server(
        settings, catalog=make_catalog(entry), backend_loader=make_backends({"en-pt": EchoBackend()})
    )
    server.monitoring.serve()
    await server.start()
    try:
        status, reasons = await probe(server, "/readyz")
        assert status == 503
        assert "model en-pt is not ready" in reasons
        await server.preload()
        assert await probe(server, "/readyz") == (200, [])
        assert await probe(server, "/livez") == (200, [])
        await server.finish_calls(0)
        assert await probe(server, "/readyz") == (503, ["the server is draining"])
        assert await probe(server, "/livez") == (200, [])
    finally:
        await server.close()


class WedgedBackend(EchoBackend):
    """A model whose batches wait for ever, without polling."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        if any("halt" in text for text in self.decode([row[:-1] for row in batch])):
            self.release.wait()
        return super().run(batch, options, cancelled)


@pytest.mark.slow
async def test_liveness_fails_within_ten_seconds_of_a_wedged_compute_thread_and_recovers() -> None:
    backend = WedgedBackend()
    async with serve_metrics({"en-pt": backend}) as server, connect(server) as client:
        assert await client.health("liveness") == "SERVING"
        call = asyncio.create_task(client.translate("Please halt now.", source="en", target="pt"))
        try:
            async with asyncio.timeout(10):
                while await client.health("liveness") == "SERVING":
                    await asyncio.sleep(0.1)
            status, reasons = await probe(server, "/livez")
            assert status == 503
            assert reasons == ["1 compute threads make no progress"]
        finally:
            backend.release.set()
        await call
        while await client.health("liveness") != "SERVING":
            await asyncio.sleep(0.1)
        assert (await probe(server, "/livez"))[0] == 200


async def test_other_paths_and_methods_are_refused() -> None:
    async with serve_metrics() as server:
        assert (await get(server, "/"))[0] == 404
        assert (await get(server, "/metrics/../etc/passwd"))[0] == 404
        assert (await send(server, b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")).startswith(
            b"HTTP/1.1 405 "
        )


async def send(server: LatimerServer, data: bytes) -> bytes:
    """Sends bytes to the port of metrics, and returns all that it answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.monitoring.port)
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics?" + b"name[]=x&" * 500 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n" * 10_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["TLS", "huge header", "huge path", "version", "many names", "blank lines", "HTTP/2"],
)
async def test_garbage_leaves_the_port_of_metrics_working(data: bytes) -> None:
    async with serve_metrics() as server:
        await send(server, data)
        assert (await get(server, "/livez"))[0] == 200


async def test_idle_connections_and_scrapers_that_go_shut_nobody_out() -> None:
    async with serve_metrics() as server, connect(server) as client:
        address = ("127.0.0.1", server.monitoring.port)
        idle = [await asyncio.open_connection(*address) for _ in range(100)]
        for _ in range(20):
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            await writer.drain()
            writer.transport.abort()
        assert (await client.translate("One.", source="en", target="pt")).text == "One."
        assert find(await scrape(server), "latimer_words_total", model="en-pt") == 1
        for _, writer in idle:
            writer.close()


class SlowMetric:
    """A metric whose rendering waits until the test allows it."""

    def __init__(self) -> None:
        self.renderings = 0
        self.allowed = threading.Event()

    def collect(self) -> Iterator[Metric]:
        self.renderings += 1
        assert self.allowed.wait(60)
        yield GaugeMetricFamily("latimer_test", "Renderings.", value=self.renderings)


@contextmanager
def serve_slow_metric() -> Iterator[tuple[MetricsServer, SlowMetric]]:
    metric, registry = SlowMetric(), CollectorRegistry(auto_describe=False)
    registry.register(metric)

    async def refresh() -> None:
        pass

    server = MetricsServer("127.0.0.1:0", registry, refresh, Health, Health)
    server.start()
    try:
        yield server, metric
    finally:
        server.close()


async def test_scrapers_at_the_same_time_share_renderings_and_probes_do_not_wait_for_them() -> None:
    with serve_slow_metric() as (server, metric):
        scrapes = [asyncio.create_task(fetch(server.port, "/metrics")) for _ in range(12)]
        await until(lambda: metric.renderings == 1)
        for _ in range(40):  # idle connections and probes beside it
            assert b"ok" in await fetch(server.port, "/livez")
        metric.allowed.set()
        answers = await asyncio.gather(*scrapes)
    assert all(b"latimer_test" in answer for answer in answers)
    assert metric.renderings <= 3


async def test_metrics_that_no_scraper_waits_for_any_more_are_not_rendered() -> None:
    with serve_slow_metric() as (server, metric):
        # The server gives each of them up when its time is over.
        gone = await asyncio.gather(*(fetch(server.port, f"/metrics?query={number}") for number in range(12)))
        assert gone == [b""] * 12
        metric.allowed.set()
        assert b"latimer_test 2.0" in await fetch(server.port, "/metrics")
    assert metric.renderings == 2


async def test_a_flood_of_connections_cuts_no_scrape() -> None:
    with serve_slow_metric() as (server, metric):
        scrape = asyncio.create_task(fetch(server.port, "/metrics"))
        await until(lambda: metric.renderings == 1)
        flood = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(100)]
        assert b"ok" in await fetch(server.port, "/livez")
        metric.allowed.set()
        assert b"latimer_test 1.0" in await scrape
        for _, writer in flood:
            writer.close()


async def fetch(port: int, path: str) -> bytes:
    """Returns all bytes of the answer to a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_a_port_of_metrics_in_use_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = await build_server(
            Settings(listen="127.0.0.1:0", metrics=address), catalog=make_catalog(), backend_loader=make_backends({})
        )
        with pytest.raises(MetricsListenError, match=f"cannot serve metrics on {address}: address already in use; set"):
            server.monitoring.serve()
        await server.close()


async def test_a_second_server_on_a_machine_goes_on_without_metrics(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        # A server whose default address this is.
        values = Settings(listen="127.0.0.1:0").model_dump() | {"metrics": address}
        settings = Settings.model_construct(_fields_set={"listen"}, **values)
        server = await build_server(settings, catalog=make_catalog(), backend_loader=make_backends({}))
        server.monitoring.serve()
        assert server.monitoring.port is None
        await server.close()
    (record,) = [each for each in caplog.records if each.message == "no metrics"]
    assert address in vars(record)["cause"]


async def test_names_of_models_that_do_not_exist_appear_nowhere() -> None:
    async with serve_metrics() as server, connect(server) as client:
        for number in range(50):
            with pytest.raises(LatimerError):
                await client.translate("One.", source="en", target="pt", model=f"unknown-{number}")
        _, body = await get(server, "/metrics")
    assert len(body) < 200_000
    assert "unknown-" not in body
