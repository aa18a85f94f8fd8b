"""The lines of the log: one for each call, and one for each stage of the server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from latimer import AsyncClient, LatimerError
from latimer.v1 import translation_pb2, translation_pb2_grpc
from latimer_server.backends.protocol import Backend, LoadRequest
from latimer_server.config.settings import LogFormat, Settings
from latimer_server.observability.log_format import configure_logging
from latimer_server.rpc.server import build_server
from tests.fakes import EchoBackend, make_catalog, make_entry, serve_fakes

SERVER = str(Path(sys.executable).with_name("latimer-server"))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")


@contextmanager
def logging_json(capsys: pytest.CaptureFixture[str]) -> Iterator[list[dict[str, Any]]]:
    """Logs as JSON until the block ends. Yields a list that then holds the lines of calls."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    writer = configure_logging(LogFormat.JSON, "INFO")
    calls: list[dict[str, Any]] = []
    try:
        yield calls
    finally:
        writer.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        lines = map(json.loads, capsys.readouterr().err.splitlines())
        calls += [line for line in lines if line["message"] == "call"]


async def test_a_line_says_what_a_call_did(capsys: pytest.CaptureFixture[str]) -> None:
    request = translation_pb2.TranslateTextRequest(
        contents=["One two.", "42"], source_language_code="en", target_language_codes=["pt"]
    )
    with logging_json(capsys) as calls:
        async with (
            serve_fakes(segment_cache_mb=1) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            method = channel.unary_unary("/latimer.v1.TranslationService/TranslateText", bytes, bytes)
            metadata = (("x-request-id", "my-id"), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00"))
            for _ in range(2):
                await method(request.SerializeToString(), metadata=metadata)
    first, second = calls
    assert RFC_3339.fullmatch(first["time"])
    assert first["request_id"] == "my-id"
    assert first["trace_id"] == TRACE
    assert first["method"] == "/latimer.v1.TranslationService/TranslateText"
    assert first["code"] == "OK"
    assert (first["items"], first["characters"], first["models"]) == (2, 10, "en-pt")
    assert 0 <= first["queue_milliseconds"] <= first["milliseconds"]
    assert 0 <= first["compute_milliseconds"] <= first["milliseconds"]
    assert first["flags"] == "PASSTHROUGH:1"
    assert second["flags"] == "CACHED:1,PASSTHROUGH:1"


async def test_a_line_has_the_time_of_a_ranking(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(f"Sentence {number} of this long report names its own number {number}." for number in range(500))
    with logging_json(capsys) as calls:
        async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
            await client.summarize(text, source="en")
    (line,) = calls
    assert line["models"] == "extractive"
    assert 0 < line["compute_milliseconds"] <= line["milliseconds"]


@pytest.mark.parametrize("deadline", [None, 1.0], ids=["answered", "late"])
async def test_a_line_has_the_time_that_the_call_waited_for_a_model(
    capsys: pytest.CaptureFixture[str], deadline: float | None
) -> None:
    loading, ended = threading.Event(), threading.Event()

    def make(request: LoadRequest) -> Backend:
        loading.set()
        assert ended.wait(60)
        return EchoBackend()

    with logging_json(capsys) as calls:
        server = await build_server(
            Settings(listen="127.0.0.1:0", models=()),
            catalog=make_catalog(make_entry("en-pt", "en", "pt")),
            backend_loader=make,
        )
        await server.start()
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            call = asyncio.create_task(client.translate("One.", source="en", target="pt", timeout=deadline))
            assert await asyncio.to_thread(loading.wait, 60)
            if deadline is None:
                ended.set()
                await call
            else:
                with pytest.raises(LatimerError):
                    await call
                ended.set()
            await server.pool.load("en-pt")
            await client.translate("Two.", source="en", target="pt")
        await server.drain(0)
    first, second = calls
    assert 0 < first["load_milliseconds"] <= first["milliseconds"]
    assert "load_milliseconds" not in second


async def test_a_line_names_the_reason_of_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_json(capsys) as calls:
        async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
            with pytest.raises(LatimerError):
                await client.translate("One.", source="en", target="zu")
    (line,) = calls
    assert (line["code"], line["reason"]) == ("NOT_FOUND", "NOT_SERVED")
    assert "items" not in line


async def test_a_share_of_the_calls_with_status_ok_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_json(capsys) as calls:
        async with serve_fakes(log_ok_share=0.0) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
            await client.translate("One.", source="en", target="pt")
            with pytest.raises(LatimerError):
                await client.translate("One.", source="en", target="zu")
    assert [line["code"] for line in calls] == ["NOT_FOUND"]


@pytest.fixture
def website(tmp_path: Path) -> tuple[Path, str]:
    """A key file with a key of the name `website`, and its secret."""
    keys = tmp_path / "keys.toml"
    command = [SERVER, "keys", "create", "website", "--keys", str(keys), "--scope", "translate"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return keys, done.stdout.strip()


async def test_a_line_of_an_unknown_caller_has_its_address(
    capsys: pytest.CaptureFixture[str], website: tuple[Path, str]
) -> None:
    keys, secret = website
    with logging_json(capsys) as calls:
        async with serve_fakes(keys=keys) as server:
            for token in ("wrong", secret):
                async with AsyncClient(f"127.0.0.1:{server.port}", token=token) as client:
                    with pytest.raises(LatimerError):
                        await client.translate("One.", source="en", target="zu")
    refused, served = calls
    assert (refused["code"], "key" in refused) == ("UNAUTHENTICATED", False)
    assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", refused["peer"])
    assert "peer" not in served


async def test_a_line_names_the_key_of_the_caller(
    capsys: pytest.CaptureFixture[str], website: tuple[Path, str]
) -> None:
    keys, secret = website
    with logging_json(capsys) as calls:
        async with (
            serve_fakes(keys=keys) as server,
            AsyncClient(f"127.0.0.1:{server.port}", token=secret) as client,
        ):
            await client.translate("One.", source="en", target="pt")
    (line,) = calls
    assert line["key"] == "website"
    assert secret not in json.dumps(line)


def test_start_ready_drain_and_its_end_are_a_line_each() -> None:
    command = [SERVER, "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--models", "", "--metrics", "127.0.0.1:0", "--log-format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("listening on ")
        assert re.fullmatch(r"metrics on 127\.0\.0\.1:\d+\n", process.stdout.readline())
        lines = []
        for line in process.stderr:
            lines.append(json.loads(line))
            if lines[-1]["message"] == "ready":
                process.terminate()
        assert process.wait(60) == 0
    assert [line["message"] for line in lines] == ["start", "ready", "drain", "drained"]
    assert all(RFC_3339.fullmatch(line["time"]) for line in lines)


async def test_the_line_of_a_server_that_is_not_ready_names_the_models_that_it_waits_for() -> None:
    def make(request: LoadRequest) -> Backend:
        if request.name == "en-pt":
            raise MemoryError
        return EchoBackend()

    server = await build_server(
        Settings(listen="127.0.0.1:0", models=("en-pt", "pt-en", "typo")),
        catalog=make_catalog(make_entry("en-pt", "en", "pt"), make_entry("pt-en", "pt", "en")),
        backend_loader=make,
    )
    await server.start()
    await server.preload()
    assert server.list_unready() == ("en-pt", "typo")
    await server.drain(0)


def test_a_port_of_metrics_in_use_ends_the_server_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [SERVER, "serve", "--listen", "127.0.0.1:0"]
        done = subprocess.run(
            [*command, "--models", "", "--metrics", address, "--log-level", "ERROR"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"cannot serve metrics on {address}: address already in use" in line


async def test_the_line_of_an_overloaded_call_names_the_bound(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_json(capsys) as calls:
        async with (
            serve_fakes(max_streams=1) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            stub: Any = translation_pb2_grpc.TranslationServiceStub(channel)
            config = translation_pb2.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
            item = translation_pb2.StreamItem(item_id="1", content="A text.")
            request = translation_pb2.StreamTranslateTextRequest(config=config, items=[item])
            held = stub.StreamTranslateText()
            await held.write(request)
            await held.read()
            assert await stub.StreamTranslateText().code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            held.cancel()
    (line,) = [line for line in calls if line["code"] == "RESOURCE_EXHAUSTED"]
    assert (line["reason"], line["bound"]) == ("OVERLOADED", "max_streams")
