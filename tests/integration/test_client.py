"""The client package: both clients have the same methods, a list never fails as a whole, the import is light."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

import latimer
import latimer_server
from latimer import (
    TLS,
    AsyncClient,
    Client,
    ConnectionFailedError,
    InvalidArgumentError,
    NotServedError,
    Retry,
    UnauthenticatedError,
)
from latimer_server.rpc.server import LatimerServer
from tests.fakes import serve_fakes


def test_both_clients_have_the_same_surface() -> None:
    def surface(client: type) -> dict[str, str]:
        members = inspect.getmembers(client, inspect.isfunction)
        signatures = {name: str(inspect.signature(member)) for name, member in members if not name.startswith("_")}
        # The asynchronous client takes and returns asynchronous iterables too.
        signatures["translate_many"] = (
            signatures["translate_many"]
            .replace(" | AsyncIterable[types.Item]", "")
            .replace("AsyncTranslationStream", "TranslationStream")
        )
        return signatures

    assert surface(Client) == surface(AsyncClient)
    assert str(inspect.signature(Client)) == str(inspect.signature(AsyncClient))


def test_every_public_name_is_there() -> None:
    assert all(hasattr(latimer, name) for name in latimer.__all__)


async def test_the_synchronous_client_returns_what_the_other_returns(server: LatimerServer) -> None:
    def use() -> None:
        with Client(f"127.0.0.1:{server.port}") as client:
            assert client.translate("A text.", source="en", target="pt").text == "A text."
            assert [t.text for t in client.translate(["a b", "c d"], source="en", target="pt")] == ["a b", "c d"]
            rows = client.translate(("a b" for _ in range(2)), source="en", target=["pt", "en"])
            assert [[t.text for t in row] for row in rows] == [["a b", "a b"]] * 2
            assert [t.text for t in client.translate("a b", source="en", target=["pt"])] == ["a b"]
            assert client.summarize("The bridge is closed.", sentences=1).text == "The bridge is closed."
            assert client.summarize(["One is here.", "Two is here."])[1].text == "Two is here."
            assert client.detect("The bridge is closed until Monday.").language == "en"
            assert len(client.detect(["a", "b"])) == 2
            assert client.health() == "SERVING"
            assert {model.name for model in client.models()} == {"en-pt", "pt-en", "extractive"}
            assert len(client.language_pairs()) == 2
            assert client.translate([], target="pt") == []
            with pytest.raises(NotServedError):
                client.translate("a", source="en", target="de")

    await asyncio.to_thread(use)


async def test_options_have_the_names_of_the_contract(client: AsyncClient) -> None:
    found = await client.translate(
        "One. Two.", source="en", target="pt", include_segments=True, sentence_splitting="off", max_length_ratio=3
    )
    assert [segment.text for segment in found.segments] == ["One. Two."]
    with pytest.raises(InvalidArgumentError, match="no option 'sentence_spliting'"):
        await client.translate("a", target="pt", sentence_spliting="off")  # type: ignore[call-overload]
    with pytest.raises(InvalidArgumentError, match="not one of on, off, no_newlines"):
        await client.translate("a", target="pt", sentence_splitting="sometimes")  # type: ignore[call-overload]
    with pytest.raises(InvalidArgumentError, match="include_segments"):
        await client.translate("a", target="pt", include_segments="perhaps")  # type: ignore[call-overload]
    with pytest.raises(InvalidArgumentError, match="exclude each other"):
        await client.summarize("a", sentences=1, max_words=3)


async def test_a_list_never_fails_for_one_item(client: AsyncClient) -> None:
    too_long = "word " * 200_001
    short, failed, last = await client.translate(["One.", too_long, "Three."], source="en", target="pt")
    assert (short.text, last.text) == ("One.", "Three.")
    assert failed.text == ""
    assert isinstance(failed.error, InvalidArgumentError)
    assert failed.error.violations == (("contents[1]", "has 1000005 code points; at most 1000000 are allowed"),)
    with pytest.raises(InvalidArgumentError):
        await client.translate(too_long, source="en", target="pt")
    summaries = await client.summarize(["The bridge is closed.", too_long])
    assert summaries[0].error is None
    assert summaries[1].error
    assert (await client.detect([too_long]))[0].error


async def test_long_lists_are_split_and_keep_their_order(client: AsyncClient) -> None:
    texts = [f"Sentence {i}." for i in range(2_500)]
    found = await client.translate(texts, source="en", target="pt")
    assert [translation.text for translation in found] == texts


@pytest.mark.parametrize("bad", ["a\ud800b", "\udfff"])
async def test_text_that_cannot_be_utf8_names_its_item(client: AsyncClient, bad: str) -> None:
    for found in (await client.detect(["fine", bad]), await client.summarize(["fine", bad])):
        assert found[0].error is None
        assert "item 1 cannot be encoded in UTF-8" in str(found[1].error)
    with pytest.raises(ValueError, match="item 0 cannot be encoded in UTF-8"):
        await client.translate(bad, target="pt")


async def test_an_unreachable_server_raises_connection_failed() -> None:
    async with AsyncClient("127.0.0.1:1", timeout=5) as client:
        with pytest.raises(ConnectionFailedError, match=r"no connection to 127\.0\.0\.1:1"):
            await client.health()
        found = await client.translate(["a", "b"], target="pt", retry=Retry(attempts=1))
        assert all(isinstance(result.error, ConnectionFailedError) for result in found)


async def test_an_unavailable_call_is_tried_again() -> None:
    tries = 0

    async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        nonlocal tries
        tries += 1
        if tries < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return b"\x08\x01"

    handlers: dict[str, Any] = {"Check": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with AsyncClient(f"127.0.0.1:{port}") as client:
        assert await client.health() == "SERVING"
    await server.stop(0)
    assert tries == 3


async def test_a_server_with_tokens_requires_one(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# ours\nsesame\n\nother\n")
    async with serve_fakes(auth_tokens=tokens) as server:
        address = f"127.0.0.1:{server.port}"
        for token in (None, "wrong", "sesam"):
            async with AsyncClient(address, token=token) as client:
                assert await client.health() == "SERVING"
                with pytest.raises(UnauthenticatedError):
                    await client.translate("a", source="en", target="pt")
        async with AsyncClient(address, token="sesame") as client:
            assert (await client.translate("A text.", source="en", target="pt")).text == "A text."


async def test_a_channel_can_be_encrypted(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(chain)
    async with serve_fakes(listen="localhost:0", tls_key=key, tls_certificate=chain) as server:
        async with AsyncClient(
            f"localhost:{server.port}", tls=TLS(root_certificates=authority.cert_pem.bytes())
        ) as client:
            assert await client.health() == "SERVING"
        async with AsyncClient(f"localhost:{server.port}", timeout=5) as plaintext:
            with pytest.raises(ConnectionFailedError):
                await plaintext.health()


def _run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_the_client_imports_no_model_library_and_nothing_of_the_server() -> None:
    heavy = _run_python(
        "import sys, latimer\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'typer', 'rich', 'latimer_server') if m in sys.modules])"
    )
    assert heavy == "[]"


def test_importing_the_client_imports_little_beyond_grpc() -> None:
    """The time that it takes is printed by `benchmarks.micro.import_cost`."""
    code = "import sys, grpc, grpc.aio\nbefore = set(sys.modules)\nimport latimer\nprint(*set(sys.modules) - before)"
    imported = _run_python(code).split()
    foreign = [name for name in imported if name.partition(".")[0] not in {*sys.stdlib_module_names, "latimer"}]
    assert all(
        name == "google" or name.startswith(("google._upb", "google.protobuf", "google.rpc")) for name in foreign
    )
    assert len(imported) <= 90


async def test_client_and_server_print_and_send_the_same_version(
    channel: grpc.aio.Channel,
) -> None:
    method: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    call = method(b"")
    sent = str(dict(await call.initial_metadata())["x-latimer-version"])
    await call
    project = tomllib.loads((Path(__file__).parents[2] / "clients/python/pyproject.toml").read_text())["project"]
    assert (latimer_server.__version__, latimer.__version__, project["version"]) == (sent, sent, sent)


async def test_a_call_of_a_closed_client_says_that_it_is_closed(server: LatimerServer) -> None:
    asynchronous = AsyncClient(f"127.0.0.1:{server.port}")
    await asynchronous.close()
    with pytest.raises(ConnectionFailedError, match="closed"):
        await asynchronous.health()
    synchronous = Client(f"127.0.0.1:{server.port}")
    synchronous.close()
    with pytest.raises(ConnectionFailedError, match="closed"):
        synchronous.health()
