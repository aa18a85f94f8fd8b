"""TLS and client certificates: files change while calls run, and a certificate may stand for a key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from latimer import TLS, AsyncClient, ConnectionFailedError, PermissionDeniedError, UnauthenticatedError
from latimer_server.config.key_editing import create_key
from latimer_server.config.key_file import KeyEntry
from latimer_server.core.access import Scope
from latimer_server.rpc import access_control
from latimer_server.rpc.auth import Authenticator
from tests.fakes import BlockingBackend, serve_fakes
from tests.integration.test_keys import EN_PT
from tests.streams import until
from tests.unit.test_certificates import Files, issue


def settings(files: Files, *, clients: bool = False) -> dict[str, Any]:
    given = {"listen": "localhost:0", "tls_certificate": files.certificate, "tls_key": files.key}
    return given | ({"tls_client_ca": files.authority} if clients else {})


def trust(authority: trustme.CA, client: trustme.LeafCert | None = None) -> TLS:
    """Returns the settings of a client that trusts an authority and may have a certificate."""
    if client is None:
        return TLS(root_certificates=authority.cert_pem.bytes())
    return TLS(
        root_certificates=authority.cert_pem.bytes(),
        private_key=client.private_key_pem.bytes(),
        certificate_chain=client.cert_chain_pems[0].bytes(),
    )


async def test_a_new_certificate_serves_new_connections_while_calls_run(tmp_path: Path) -> None:
    old, new = trustme.CA(), trustme.CA()
    files = issue(tmp_path, old)
    backend = BlockingBackend()
    async with serve_fakes({"en-pt": backend}, **settings(files)) as server:
        address = f"localhost:{server.port}"
        async with AsyncClient(address, tls=trust(old)) as client:
            running = client.translate("A text.", **EN_PT)
            async with AsyncClient(address, tls=trust(old)) as waiting:
                task = asyncio.ensure_future(running)
                await until(lambda: backend.running == 1)
                assert await waiting.health() == "SERVING"
                issue(tmp_path, new)
                server.reloads.poll()
                async with AsyncClient(address, tls=trust(new)) as later:
                    assert await later.health() == "SERVING"
                async with AsyncClient(address, tls=trust(old), timeout=5) as late:
                    with pytest.raises(ConnectionFailedError):
                        await late.health()
                backend.release.set()
                assert (await task).text == "A text."


async def test_a_certificate_that_does_not_fit_its_key_leaves_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = trustme.CA()
    files = issue(tmp_path, authority)
    async with serve_fakes(**settings(files)) as server:
        trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(files.key)
        server.reloads.poll()
        async with AsyncClient(f"localhost:{server.port}", tls=trust(authority)) as client:
            assert await client.health() == "SERVING"
    (failure,) = (record for record in caplog.records if record.message.startswith("reload failed"))
    assert str(files.key) in vars(failure)["cause"]


async def test_with_an_authority_of_clients_every_caller_needs_a_certificate(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    files = issue(tmp_path, authority)
    async with serve_fakes(**settings(files, clients=True)) as server:
        address = f"localhost:{server.port}"
        async with AsyncClient(address, tls=trust(authority, authority.issue_cert("shop.example"))) as client:
            assert (await client.translate("A text.", **EN_PT)).text == "A text."
        expired = authority.issue_cert("shop.example", not_after=datetime.now(UTC) - timedelta(minutes=1))
        for tls in (trust(authority), trust(authority, stranger.issue_cert("shop.example")), trust(authority, expired)):
            async with AsyncClient(address, tls=tls, timeout=5) as refused:
                with pytest.raises(ConnectionFailedError):
                    await refused.health()


async def test_a_certificate_that_expires_on_an_open_connection_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, now = trustme.CA(), datetime.now(UTC).timestamp()
    monkeypatch.setattr(access_control, "Authenticator", partial(Authenticator, clock=lambda: now))
    files = issue(tmp_path, authority)
    ends = datetime.now(UTC) + timedelta(days=2)
    shop = trust(authority, authority.issue_cert("shop.example", not_after=ends))
    async with (
        serve_fakes(**settings(files, clients=True)) as server,
        AsyncClient(f"localhost:{server.port}", tls=shop) as client,
    ):
        assert (await client.translate("A text.", **EN_PT)).text == "A text."
        now = ends.timestamp()
        with pytest.raises(UnauthenticatedError, match="certificate of this connection has expired"):
            await client.translate("A text.", **EN_PT)


async def test_a_certificate_whose_authority_is_removed_is_refused_on_an_open_connection(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    files = issue(tmp_path, authority)
    shop = trust(authority, authority.issue_cert("shop.example"))
    async with (
        serve_fakes(**settings(files, clients=True)) as server,
        AsyncClient(f"localhost:{server.port}", tls=shop) as client,
    ):
        files.authority.write_bytes(authority.cert_pem.bytes() + other.cert_pem.bytes())
        server.reloads.poll()
        assert (await client.translate("A text.", **EN_PT)).text == "A text."
        other.cert_pem.write_to_path(files.authority)
        server.reloads.poll()
        with pytest.raises(UnauthenticatedError, match="is not trusted any more"):
            await client.translate("A text.", **EN_PT)


async def test_a_certificate_stands_for_its_key(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = issue(tmp_path, authority)
    keys = tmp_path / "keys.toml"
    create_key(keys, "shop", KeyEntry(certificates=("shop.example",), scopes=frozenset({Scope.TRANSLATE})))
    async with serve_fakes(**settings(files, clients=True), keys=keys) as server:
        address = f"localhost:{server.port}"
        shop = trust(authority, authority.issue_cert("shop.example", common_name="other.example"))
        async with AsyncClient(address, tls=shop) as client:
            assert (await client.translate("A text.", **EN_PT)).text == "A text."
            with pytest.raises(PermissionDeniedError):
                await client.summarize("A text.")
        # The common name counts only in a certificate without subject alternative names.
        other = trust(authority, authority.issue_cert("other.example", common_name="shop.example"))
        async with AsyncClient(address, tls=other) as client:
            assert await client.health() == "SERVING"
            with pytest.raises(UnauthenticatedError):
                await client.translate("A text.", **EN_PT)
