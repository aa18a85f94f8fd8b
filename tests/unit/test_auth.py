"""Authentication: a call is the caller of its key, its token, its certificate or its connection, or it is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from latimer_server.config.key_editing import create_key, revoke_key, rotate_key
from latimer_server.config.key_file import KeyEntry
from latimer_server.core.access import ALL_SCOPES, Principal, QuotaLimits, Scope, Standing
from latimer_server.core.callers import find_group
from latimer_server.core.client_certificate import Certificate, ClientCertificate
from latimer_server.core.errors import CertificateInvalid, KeyExpired, Unauthenticated
from latimer_server.rpc.auth import Authenticator, Credentials, load_credentials
from latimer_server.rpc.call_access import CallAccess

NOW = datetime(2026, 11, 30, tzinfo=UTC).timestamp()
TRANSLATE = frozenset({Scope.TRANSLATE})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def identify(
    credentials: Credentials, authorization: str | None, names: tuple[str, ...] = (), at: float = NOW
) -> Principal:
    metadata = {} if authorization is None else {"authorization": authorization}
    authenticator = Authenticator(credentials, clock=lambda: at)
    return authenticator.admit("ipv4:1", metadata, certify(*names) if names else None).principal


def certify(
    *names: str, issuer: bytes = b"ca", issuer_key_id: bytes = b"", ends: float = math.inf
) -> ClientCertificate:
    """Returns the certificate of a client. `names`: with their kinds."""
    return ClientCertificate(Certificate(b"client", issuer, b"", issuer_key_id, names, ends))


def bearer(secret: str) -> str:
    return f"Bearer {secret}"


def test_a_secret_stands_for_its_key(keys: Path) -> None:
    entry = KeyEntry(certificates=("x",), scopes=TRANSLATE, requests_per_minute=5, concurrent=2)
    secret = create_key(keys, "shop", entry)
    found = identify(load_credentials(keys, None), bearer(secret))
    assert found == Principal("key:shop", "shop", TRANSLATE, QuotaLimits(requests=5, concurrent=2))


@pytest.mark.parametrize("offered", ["{}x", "", "{}\x00", "latimer_"])
def test_a_secret_that_differs_is_refused(keys: Path, offered: str) -> None:
    secret = create_key(keys, "shop", KeyEntry(certificates=("x",), scopes=TRANSLATE))
    credentials = load_credentials(keys, None)
    for authorization in (bearer(offered.format(secret)), secret, f"Basic {secret}", bearer(secret[:-1]), ""):
        with pytest.raises(Unauthenticated):
            identify(credentials, authorization)
    with pytest.raises(Unauthenticated):
        identify(credentials, None)


def test_the_digest_of_a_key_is_no_secret(keys: Path) -> None:
    create_key(keys, "shop", KeyEntry(certificates=("x",), scopes=TRANSLATE))
    credentials = load_credentials(keys, None)
    for digest in credentials.secrets:
        with pytest.raises(Unauthenticated):
            identify(credentials, bearer(digest.hex()))


def test_a_key_ends_when_it_expires(keys: Path) -> None:
    ends = datetime.fromtimestamp(NOW, UTC)
    secret = create_key(keys, "shop", KeyEntry(certificates=("x",), scopes=TRANSLATE, expires=ends))
    credentials = load_credentials(keys, None)
    assert identify(credentials, bearer(secret), at=NOW - 0.001).key == "shop"
    with pytest.raises(KeyExpired):
        identify(credentials, bearer(secret), at=NOW)


def test_both_secrets_of_a_rotated_key_are_accepted_for_a_while(keys: Path) -> None:
    old = create_key(keys, "shop", KeyEntry(certificates=("x",), scopes=TRANSLATE))
    new = rotate_key(keys, "shop", timedelta(hours=1))
    credentials, now = load_credentials(keys, None), datetime.now(UTC).timestamp()
    assert identify(credentials, bearer(old), at=now) == identify(credentials, bearer(new), at=now)
    with pytest.raises(KeyExpired):
        identify(credentials, bearer(old), at=now + 3_601)
    assert identify(credentials, bearer(new), at=now + 3_601).key == "shop"


def test_a_certificate_stands_for_its_key_unless_the_call_sends_a_secret(keys: Path) -> None:
    create_key(keys, "shop", KeyEntry(certificates=("shop.example",), scopes=TRANSLATE))
    other = create_key(keys, "other", KeyEntry(certificates=("x",), scopes=ALL_SCOPES))
    credentials = load_credentials(keys, None)
    assert identify(credentials, None, ("dns:unknown.example", "dns:shop.example")).key == "shop"
    assert identify(credentials, bearer(other), ("dns:shop.example",)).key == "other"
    with pytest.raises(Unauthenticated):
        identify(credentials, bearer("wrong"), ("dns:shop.example",))
    with pytest.raises(Unauthenticated):
        identify(credentials, None, ("dns:unknown.example",))


def test_a_running_call_notices_that_its_key_is_revoked_or_has_expired(keys: Path) -> None:
    ends = datetime.fromtimestamp(NOW, UTC)
    secret = create_key(keys, "shop", KeyEntry(certificates=("x",), scopes=TRANSLATE, expires=ends))
    now = NOW - 1
    authenticator = Authenticator(load_credentials(keys, None), clock=lambda: now)
    access = CallAccess(authenticator, "ipv4:1", {"authorization": bearer(secret)})
    assert access.open().key == "shop"
    access.renew()
    now = NOW
    with pytest.raises(KeyExpired):
        access.renew()
    revoke_key(keys, "shop")
    authenticator.credentials = load_credentials(keys, None)
    with pytest.raises(Unauthenticated, match="revoked"):
        access.renew()


def test_a_token_opens_everything_on_every_connection_and_is_not_part_of_the_name(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame\nother\n")
    authenticator = Authenticator(load_credentials(None, tokens))
    first, second, other = (
        authenticator.admit(peer, {"authorization": f"bearer {token}"}).principal
        for peer, token in (("ipv4:1", "sesame"), ("ipv4:2", "sesame"), ("ipv4:1", "other"))
    )
    assert first == second != other
    assert first.scopes == ALL_SCOPES
    assert "sesame" not in first.caller
    for offered in ("Bearer sesam", "Bearer ", "", "sesame", "Basic sesame"):
        with pytest.raises(Unauthenticated):
            authenticator.admit("ipv4:1", {"authorization": offered})


@pytest.mark.parametrize(
    ("first", "second", "is_one_group"),
    [
        ("ipv4:192.0.2.1:5000", "ipv4:192.0.2.1:5001", True),
        ("ipv4:192.0.2.1:5000", "ipv4:192.0.2.2:5000", False),
        ("ipv6:%5B2001:db8::1%5D:5000", "ipv6:%5B2001:db8::2:1%5D:5001", True),
        ("ipv6:%5B2001:db8::1%5D:5000", "ipv6:%5B2001:db8:0:1::1%5D:5000", False),
        ("ipv6:%5B::ffff:192.0.2.1%5D:5000", "ipv6:%5B::ffff:192.0.2.2%5D:5000", False),
        ("ipv6:%5B::ffff:192.0.2.1%5D:5000", "ipv4:192.0.2.1:5001", True),
        ("ipv6:%5Bfe80::1%25eth0%5D:5000", "ipv6:%5Bfe80::2%25eth1%5D:5000", False),
        ("unix:", "unix:", True),
    ],
)
def test_the_connections_of_an_address_are_a_group(first: str, second: str, is_one_group: bool) -> None:
    authenticator, alone = Authenticator(), Authenticator(shares_by_address=False)
    callers = [authenticator.identify(peer) for peer in (first, second)]
    assert (callers[0] == callers[1]) is (first == second)
    assert (find_group(callers[0]) == find_group(callers[1])) is is_one_group
    assert (find_group(alone.identify(first)) == find_group(alone.identify(second))) is (first == second)


def test_without_keys_the_certificate_or_the_connection_is_the_caller() -> None:
    authenticator = Authenticator()
    first, second = (
        authenticator.admit(peer, {"authorization": "Bearer x"}).principal for peer in ("ipv4:1", "ipv4:2")
    )
    assert first == authenticator.admit("ipv4:1", {}).principal != second
    certificate = certify("dns:a.example")
    first, second = (authenticator.admit(peer, {}, certificate).principal for peer in ("ipv4:1", "ipv4:2"))
    assert first == second


@pytest.mark.parametrize(
    ("named", "names", "opens"),
    [
        ("shop.example", ("dns:shop.example",), True),
        ("Shop.Example", ("dns:shop.example",), True),
        ("shop.example", ("uri:shop.example",), False),
        ("shop.example", ("email:shop.example",), False),
        ("spiffe://example/shop", ("uri:spiffe://example/shop",), True),
        ("spiffe://example/shop", ("dns:spiffe://example/shop",), False),
        ("shop@example.org", ("email:shop@example.org",), True),
        ("10.0.0.1", ("ip:10.0.0.1",), True),
        ("10.0.0.1", ("dns:10.0.0.1",), False),
        ("0:0:0:0:0:0:0:1", ("ip:::1",), True),
    ],
)
def test_a_name_of_a_certificate_opens_keys_of_its_kind_only(
    keys: Path, named: str, names: tuple[str, ...], opens: bool
) -> None:
    create_key(keys, "shop", KeyEntry(certificates=(named,), scopes=TRANSLATE))
    credentials = load_credentials(keys, None)
    if opens:
        assert identify(credentials, None, names).key == "shop"
    else:
        with pytest.raises(Unauthenticated):
            identify(credentials, None, names)


@pytest.mark.parametrize("required", [True, False], ids=["with keys", "without keys"])
def test_a_certificate_that_has_expired_since_the_handshake_is_refused(keys: Path, required: bool) -> None:
    create_key(keys, "shop", KeyEntry(certificates=("shop.example",), scopes=TRANSLATE))
    secret, now = create_key(keys, "other", KeyEntry(certificates=("x",), scopes=TRANSLATE)), NOW - 1
    authenticator = Authenticator(load_credentials(keys, None) if required else None, clock=lambda: now)
    certificate = certify("dns:shop.example", ends=NOW)
    access = CallAccess(authenticator, "ipv4:1", {}, certificate)
    access.open()
    access.renew()
    now = NOW
    with pytest.raises(CertificateInvalid, match="has expired; open a new connection"):
        access.renew()
    for metadata in ({}, {"authorization": bearer(secret)}):
        with pytest.raises(CertificateInvalid):
            authenticator.admit("ipv4:1", metadata, certificate)
    assert CallAccess(authenticator, "ipv4:1", {}, certificate).open_to_all().standing is Standing.STRANGER


def test_a_certificate_whose_authority_is_gone_is_refused() -> None:
    def authority(name: bytes, key_id: bytes = b"") -> Certificate:
        return Certificate(name, name, key_id, b"", (), math.inf)

    authorities: tuple[Certificate, ...] = (authority(b"ca"), authority(b"new"))
    authenticator = Authenticator(list_authorities=lambda: authorities)
    certificate = certify("dns:a", issuer=b"ca", issuer_key_id=b"1")
    below = ClientCertificate(
        certify("dns:b", issuer=b"middle").leaf, (Certificate(b"middle", b"ca", b"", b"", (), 0.0),)
    )
    for each in (certificate, below):
        authenticator.admit("ipv4:1", {}, each)
    authorities = (authority(b"ca", b"2"), authority(b"new"))
    with pytest.raises(CertificateInvalid, match="not trusted any more"):
        authenticator.admit("ipv4:1", {}, certificate)
    authorities = (authority(b"new"),)
    for each in (certificate, below):
        with pytest.raises(CertificateInvalid, match="not trusted any more"):
            authenticator.admit("ipv4:1", {}, each)
