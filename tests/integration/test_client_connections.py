"""Connections of both clients: tokens, options of channels, proxies, forks and event loops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import warnings
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from latimer import (
    TLS,
    AsyncClient,
    Client,
    ConnectionFailedError,
    NotServedError,
    OverloadedError,
    PermissionDeniedError,
    Retry,
    ServerError,
    TranslatedItem,
    Usage,
    WrongLoopError,
)
from latimer_server.rpc.server import LatimerServer
from tests.fakes import serve_fakes
from tests.scripted_server import EN_PT, FAST, ScriptedServer, Translate


async def test_a_token_that_is_a_function_is_called_for_each_request(translate: Translate) -> None:
    tokens = iter(["one", "two"])
    server = ScriptedServer([(grpc.StatusCode.UNAVAILABLE, 0.0)])
    async with server.serve() as address:
        await translate(address, "a", {"token": lambda: next(tokens), "retry": FAST})
    assert server.tokens == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
async def test_messages_are_compressed_on_request(translate: Translate, compression: str) -> None:
    async with ScriptedServer().serve() as address:
        assert (await translate(address, "a" * 10_000, {"compression": compression})).text == "A" * 10_000


async def test_options_of_the_channel_reach_grpc(translate: Translate) -> None:
    async with ScriptedServer().serve() as address:
        limited = {"channel_options": [("grpc.max_receive_message_length", 100)]}
        with pytest.raises(OverloadedError, match="larger than max"):
            await translate(address, "a" * 1_000, limited)


class Proxy:
    """An HTTP proxy that answers CONNECT. `targets`: the addresses that it was asked for."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    async def tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = request.split()[1]
        self.targets.append(target)
        host, _, port = target.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)


async def test_a_proxy_carries_the_connection(translate: Translate) -> None:
    proxy = Proxy()
    listening = await asyncio.start_server(proxy.tunnel, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with ScriptedServer().serve() as address:
        assert (await translate(address, "a", {"proxy": f"http://127.0.0.1:{port}"})).text == "A"
    assert proxy.targets == [address]
    listening.close()


async def test_results_have_the_usage_of_their_request(server: LatimerServer, translate: Translate) -> None:
    results = await translate(f"127.0.0.1:{server.port}", ["A text.", "Another."], {})
    usage = results[0].usage
    assert isinstance(usage, Usage)
    assert (usage.characters, usage.segments) == (15, 2)
    assert usage.compute_seconds > 0
    assert results[1].usage is usage


async def test_a_stream_has_a_usage_at_its_end(server: LatimerServer) -> None:
    address = f"127.0.0.1:{server.port}"
    async with AsyncClient(address) as client, client.translate_many(["A text.", "Another."], **EN_PT) as results:
        before = results.usage
        assert len([result async for result in results]) == 2
        assert before is None
        assert results.usage is not None
        assert results.usage.characters == 15

    def run() -> None:
        with Client(address) as client, client.translate_many(["A text.", "Another."], **EN_PT) as results:
            assert len(list(results)) == 2
            assert results.usage is not None
            assert results.usage.segments == 2

    await asyncio.to_thread(run)


async def test_models_are_described_loaded_and_unloaded() -> None:
    async with serve_fakes(admin=True) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        assert (await client.load_model("en-pt")).state == "READY"
        assert str(await client.get_model("en-pt")) == "en-pt"
        assert (await client.unload_model("en-pt")).state in ("DRAINING", "AVAILABLE")
        with pytest.raises(NotServedError):
            await client.get_model("no-such-model")
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        with pytest.raises(PermissionDeniedError):
            await client.load_model("en-pt")


async def test_strings_of_other_types_and_any_iterable_are_texts(server: LatimerServer, translate: Translate) -> None:
    class Title(str):
        __slots__ = ()

    address = f"127.0.0.1:{server.port}"
    assert (await translate(address, Title("A text."), {})).text == "A text."
    assert [result.text for result in await translate(address, (Title(word) for word in ("a b", "c d")), {})] == [
        "a b",
        "c d",
    ]
    assert await translate(address, [], {}) == []
    assert await translate(address, iter(()), {}) == []


async def test_of_10_000_texts_one_that_is_no_text_costs_one(translate: Translate) -> None:
    texts: list[Any] = [f"text {index}" for index in range(10_000)]
    texts[7_777] = float("nan")
    async with ScriptedServer().serve() as address:
        results = await translate(address, texts, {})
    assert [index for index, result in enumerate(results) if result.error] == [7_777]
    assert results[7_778].text == "TEXT 7778"


async def test_a_client_that_is_closed_is_an_error_of_every_item(server: LatimerServer) -> None:
    client = AsyncClient(f"127.0.0.1:{server.port}")
    await client.close()
    with pytest.raises(ConnectionFailedError, match="closed"):
        await client.translate("a", target="pt")
    assert "closed" in str((await client.translate(["a"], target="pt"))[0].error)
    with pytest.raises(ConnectionFailedError, match="closed"):
        await anext(client.translate_many(["a"], target="pt"))


def test_an_async_client_belongs_to_one_event_loop() -> None:
    client = AsyncClient("127.0.0.1:1", retry=Retry(attempts=1), timeout=5)  # made outside of any loop
    with pytest.raises(ConnectionFailedError):
        asyncio.run(client.health())
    for call in (client.health(), client.translate(["a"], target="pt")):
        with pytest.raises(WrongLoopError, match="one client for each loop"):
            asyncio.run(_wait_for(call))

    async def stream() -> None:
        await anext(client.translate_many(["a"], target="pt"))

    with pytest.raises(WrongLoopError):
        asyncio.run(stream())


async def _wait_for(call: Awaitable[Any]) -> Any:
    return await call


@contextmanager
def interrupted_by(seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_ctrl_c_ends_a_stream_that_waits() -> None:
    """The server accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as mute, Client(f"127.0.0.1:{mute.getsockname()[1]}") as client:
        results = client.translate_many(["a"], target="pt")
        with pytest.raises(KeyboardInterrupt), interrupted_by(0.2):
            next(results)
        assert list(results) == []


async def test_a_client_works_in_a_forked_child(server: LatimerServer) -> None:
    address = f"127.0.0.1:{server.port}"

    def run() -> tuple[int, int]:
        with Client(address, timeout=30) as client:
            assert client.translate("A text.", **EN_PT).text == "A text."
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # other threads live, as in every server
                child = os.fork()
            if child == 0:
                works = client.translate("A text.", **EN_PT).text == "A text."
                os._exit(0 if works else 1)
            _, status = os.waitpid(child, 0)
            assert client.translate("A text.", **EN_PT).text == "A text."
            return child, os.waitstatus_to_exitcode(status)

    _, code = await asyncio.to_thread(run)
    assert code == 0


async def test_a_connection_that_fails_says_why(tmp_path: Path, translate: Translate) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(chain)
    trusted = TLS(root_certificates=authority.cert_pem.bytes())
    async with (
        serve_fakes(listen="localhost:0", tls_key=key, tls_certificate=chain) as encrypted,
        serve_fakes() as plain,
    ):
        for address, settings, cause in (
            (f"localhost:{encrypted.port}", {}, "does it want tls=TLS"),
            (f"127.0.0.1:{plain.port}", {"tls": trusted}, "does not speak TLS"),
            (f"localhost:{encrypted.port}", {"tls": TLS()}, "not trusted"),
            (f"127.0.0.1:{encrypted.port}", {"tls": trusted}, "another name"),
            (f"localhost:{encrypted.port}", {"tls": TLS(root_certificates=b"x")}, "not valid PEM"),
            ("127.0.0.1:1", {}, "is the server running"),
        ):
            with pytest.raises(ConnectionFailedError, match=cause) as raised:
                await translate(address, "a", settings, retry=Retry(attempts=1))
            assert f"no connection to {address}: " in str(raised.value)


async def test_the_error_of_an_item_has_the_request_id_in_lists_and_streams(
    server: LatimerServer, translate: Translate
) -> None:
    address = f"127.0.0.1:{server.port}"
    text = "The bridge is closed until Monday."
    (failed,) = await translate(address, [text], {}, error_flags=["copied_source"])
    assert failed.error.request_id
    with pytest.raises(ServerError) as raised:
        await translate(address, text, {}, error_flags=["copied_source"])
    assert raised.value.request_id
    async with AsyncClient(address) as client:
        (item,) = [item async for item in client.translate_many([text], error_flags=["copied_source"], **EN_PT)]
    assert item.error is not None
    assert item.error.request_id

    def run() -> list[TranslatedItem]:
        with Client(address) as client:
            return list(client.translate_many([text], error_flags=["copied_source"], **EN_PT))

    (item,) = await asyncio.to_thread(run)
    assert item.error is not None
    assert item.error.request_id
