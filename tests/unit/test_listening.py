"""The address and the token file: what cannot be used is named in one line."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from pydantic import ValidationError

from latimer_server.config.settings import Settings, load_settings
from latimer_server.rpc.listening import (
    ListenError,
    bind_port,
    channel_options,
    check_exposure,
    name_address,
    read_tokens,
)


@pytest.mark.parametrize(
    ("data", "tokens"),
    [
        (b"# note\n\none\n  two  \n", ["one", "two"]),
        (b"\xef\xbb\xbfone\n", ["one"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"a b\n", ["a b"]),
    ],
)
def test_a_token_file_has_one_token_per_line(tmp_path: Path, data: bytes, tokens: list[str]) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(data)
    assert read_tokens(path) == tokens


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "contains no token"),
        (b"# note\n \n", "contains no token"),
        (b"\xff\xfeo\x00n\x00", "is not UTF-8 at byte 0"),
        ("one\ntökén\n".encode(), "line 2: a token consists of printable ASCII characters"),
        (b"one\ntw\x00o\n", "line 2: a token consists of printable ASCII characters"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_named(tmp_path: Path, data: bytes, rule: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(data)
    with pytest.raises(ListenError) as refused:
        read_tokens(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert rule in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "listen",
    ["127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:http", ":50051", "::1:50051", "x:1١"],
)
def test_an_address_that_means_something_else_to_grpc_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="write HOST:PORT") as refused:
        Settings(listen=listen)
    assert refused.value.errors()[0]["loc"] == ("listen",)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "latimer.example:0", "192.0.2.1:0", "unix.example:0"])
def test_an_address_that_other_machines_reach_needs_tls_and_keys(listen: str, tmp_path: Path) -> None:
    tls = {"tls_certificate": tmp_path / "c.pem", "tls_key": tmp_path / "k.pem"}
    for given, missing in (
        ({}, "TLS .* and keys"),
        (tls, "needs keys"),
        ({"keys": tmp_path / "keys.toml"}, r"needs TLS \(--tls-certificate and --tls-key\);"),
    ):
        with pytest.raises(ListenError, match=missing):
            check_exposure(load_settings(None, listen=listen, **given))
    check_exposure(load_settings(None, listen=listen, **tls, keys=tmp_path / "keys.toml"))
    check_exposure(load_settings(None, listen=listen, **tls, tls_client_ca=tmp_path / "ca.pem"))
    check_exposure(Settings(listen=listen, insecure=True))


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.1.2.3:0", "[::1]:0", "localhost:0", "unix:/run/socket"])
def test_an_address_that_only_this_machine_reaches_needs_neither(listen: str) -> None:
    check_exposure(Settings(listen=listen))


def test_addresses_are_named_as_clients_use_them(server: grpc.Server, tmp_path: Path) -> None:
    for listen in ("127.0.0.1:0", f"unix:{tmp_path / 'socket'}"):
        bind_port(server, Settings(listen=listen))
    assert name_address("127.0.0.1:0", 50_051) == "127.0.0.1:50051"
    assert name_address("[::1]:0", 50_051) == "[::1]:50051"
    assert name_address("unix:/run/socket", 1) == "unix:/run/socket"


def test_connections_leave_descriptors_to_the_process(caplog: pytest.LogCaptureFixture) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert dict(channel_options(Settings(max_connections=10)))["grpc.max_allowed_incoming_connections"] == 10
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    options = dict(channel_options(Settings(max_connections=hard)))
    assert options["grpc.max_allowed_incoming_connections"] < hard
    assert "fewer connections" in caplog.text


@pytest.fixture
def server() -> Iterator[grpc.Server]:
    with ThreadPoolExecutor(1) as threads:
        yield grpc.server(threads)
