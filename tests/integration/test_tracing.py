"""Traces, as a collector receives them over OTLP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, format_trace_id, use_span

from latimer import AsyncClient, Client, LatimerError
from latimer_server.rpc.server import LatimerServer
from tests.fakes import BlockingBackend, serve_fakes
from tests.integration.collector import collecting, read_attributes

METHOD = "latimer.v1.TranslationService/TranslateText"


def connect(server: LatimerServer) -> AsyncClient:
    return AsyncClient(f"127.0.0.1:{server.port}")


async def test_a_call_is_a_trace_of_call_queue_batch_and_backend() -> None:
    with collecting() as collector:
        async with serve_fakes(otlp_endpoint=collector.url, trace_share=1.0) as server, connect(server) as client:
            await client.translate("One two.", source="en", target="pt")
        (call,) = collector.named(METHOD)
        (queue,) = collector.named("queue")
        (batch,) = collector.named("batch")
        (backend,) = collector.named("backend")
    assert {span.trace_id for span in (queue, batch, backend)} == {call.trace_id}
    assert queue.parent_span_id == call.span_id
    assert [link.span_id for link in queue.links] == [batch.span_id]
    assert [link.span_id for link in batch.links] == [call.span_id]
    assert backend.parent_span_id == batch.span_id
    assert call.start_time_unix_nano <= queue.start_time_unix_nano <= queue.end_time_unix_nano
    assert queue.end_time_unix_nano == batch.start_time_unix_nano <= backend.start_time_unix_nano
    assert backend.end_time_unix_nano <= batch.end_time_unix_nano <= call.end_time_unix_nano
    assert abs(time.time_ns() - call.end_time_unix_nano) < 60e9
    attributes = read_attributes(batch)
    assert attributes["latimer.model"] == "en-pt"
    assert attributes["latimer.rows"] == 1
    assert (attributes["latimer.input_tokens"], attributes["latimer.output_tokens"]) == (9, 8)
    assert read_attributes(call)["rpc.response.status_code"] == "OK"
    assert read_attributes(call)["latimer.items"] == 1


async def test_a_batch_of_several_calls_is_linked_to_each() -> None:
    backend = BlockingBackend()
    with collecting() as collector:
        async with (
            serve_fakes({"en-pt": backend}, otlp_endpoint=collector.url, trace_share=1.0, compute_threads=1) as server,
            connect(server) as client,
        ):
            first = asyncio.create_task(client.translate("One.", source="en", target="pt"))
            await asyncio.to_thread(backend.started.wait)
            others = [asyncio.create_task(client.translate(f"No {n}.", source="en", target="pt")) for n in range(2)]
            while server.monitoring.read().models[0].waiting < 2:
                await asyncio.sleep(0.01)
            backend.release.set()
            await asyncio.gather(first, *others)
        _, *later = collector.named(METHOD)
        _, batch = collector.named("batch")
    assert sorted(link.span_id for link in batch.links) == sorted(span.span_id for span in later)
    assert batch.trace_id in {span.trace_id for span in later}


async def test_the_client_propagates_the_current_trace() -> None:
    tracer = TracerProvider().get_tracer("test")
    with collecting() as collector:
        async with serve_fakes(otlp_endpoint=collector.url, trace_share=0.0) as server, connect(server) as client:
            with use_span(tracer.start_span("caller")) as span:
                await client.translate("One.", source="en", target="pt")
                assert [r.text async for r in client.translate_many(["Two."], source="en", target="pt")] == ["Two."]
                with Client(f"127.0.0.1:{server.port}") as synchronous:
                    await asyncio.to_thread(synchronous.translate, "Three.", source="en", target="pt")
            await client.translate("Not traced.", source="en", target="pt")
        own = span.get_span_context()
        calls = [*collector.named(METHOD), *collector.named("latimer.v1.TranslationService/StreamTranslateText")]
        assert len(calls) == 3
        assert {call.trace_id.hex() for call in calls} == {format_trace_id(own.trace_id)}
        assert {int.from_bytes(call.parent_span_id) for call in calls} == {own.span_id}


async def test_a_trace_that_the_caller_does_not_record_is_not_recorded() -> None:
    with collecting() as collector:
        async with serve_fakes(otlp_endpoint=collector.url, trace_share=1.0) as server, connect(server) as client:
            unsampled = NonRecordingSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(0)))
            with use_span(unsampled):
                await client.translate("One.", source="en", target="pt")
        assert not collector.spans


async def test_refused_calls_are_traced_with_their_status_and_without_their_text() -> None:
    with collecting() as collector:
        async with serve_fakes(otlp_endpoint=collector.url, trace_share=1.0) as server, connect(server) as client:
            with pytest.raises(LatimerError):
                await client.translate("The secret of Amélia", source="en", target="zu")
        (call,) = collector.named(METHOD)
        assert read_attributes(call)["rpc.response.status_code"] == "NOT_FOUND"
        assert b"lia" not in b"".join(collector.raw).replace(b"latimer", b"")


async def test_a_collector_that_hangs_holds_up_no_call_and_no_drain() -> None:
    with collecting(hang=True) as collector:
        async with serve_fakes(otlp_endpoint=collector.url, trace_share=1.0) as server, connect(server) as client:
            for _ in range(130):
                await client.translate("One.", source="en", target="pt")
            assert await asyncio.to_thread(collector.asked.wait, 30)
            async with asyncio.timeout(10):
                assert (await client.translate("Two.", source="en", target="pt")).text == "Two."
                await server.finish_calls(5)
                await server.close()


def test_a_server_without_traces_does_not_import_opentelemetry() -> None:
    program = (
        "import sys, latimer_server.rpc.server, latimer_server.cli.serve\n"
        "import latimer_server.observability.server_telemetry as telemetry\n"
        "from latimer_server.config.settings import Settings\n"
        "assert telemetry.open_tracing(Settings(), '1') is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
