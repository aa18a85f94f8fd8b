"""Token files and TLS files: a file that cannot be used is named in one line."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import trustme

from latimer_server.config.settings import Settings
from latimer_server.rpc.listening import ListenError, bind_port, channel_options, name_address, read_tokens


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
def test_an_address_that_means_something_else_to_grpc_is_refused(server: grpc.Server, listen: str) -> None:
    with pytest.raises(ListenError, match="write HOST:PORT"):
        bind_port(server, Settings(listen=listen))


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


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path, server: grpc.Server) -> None:
    one, other = (trustme.CA().issue_cert("localhost") for _ in range(2))
    certificate, key, other_key, garbage = (tmp_path / name for name in ("c.pem", "k.pem", "other.pem", "garbage.pem"))
    one.cert_chain_pems[0].write_to_path(certificate)
    one.private_key_pem.write_to_path(key)
    other.private_key_pem.write_to_path(other_key)
    garbage.write_bytes(b"\x00\x01")
    broken = tmp_path / "broken.pem"
    broken.write_bytes(certificate.read_bytes()[:200] + b"\n-----END CERTIFICATE-----\n")

    for certificate_file, key_file, rule in (
        (garbage, key, f"{garbage}: contains no certificate in PEM form"),
        (key, key, f"{key}: contains no certificate in PEM form"),
        (certificate, garbage, f"{garbage}: contains no private key in PEM form"),
        (certificate, other_key, f"{certificate}, {other_key}: are not a certificate and its unencrypted key"),
        (broken, key, f"{broken}, {key}: are not a certificate and its unencrypted key"),
        (tmp_path / "missing", key, f"{tmp_path / 'missing'}: cannot be read: No such file or directory"),
    ):
        with pytest.raises(ListenError) as refused:
            bind_port(server, Settings(listen="localhost:0", tls_certificate=certificate_file, tls_key=key_file))
        assert str(refused.value).startswith(rule)
