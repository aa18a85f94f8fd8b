"""The files of TLS: what cannot be used is named in one line, and what clients would refuse is logged."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from latimer_server.config.settings import Settings, load_settings
from latimer_server.rpc.certificates import CertificateError, ServerCertificates, make_certificates

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Files:
    """The files of a server's certificate, its key and an authority of clients."""

    certificate: Path
    key: Path
    authority: Path


def issue(folder: Path, authority: trustme.CA | None = None, **fields: Any) -> Files:
    """Writes a new certificate, and the authority that signs it."""
    authority = authority or trustme.CA()
    issued = authority.issue_cert("localhost", **fields)
    files = Files(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    issued.private_key_pem.write_to_path(files.key)
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    authority.cert_pem.write_to_path(files.authority)
    return files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return issue(tmp_path)


def test_files_that_cannot_be_used_are_named(tmp_path: Path, files: Files) -> None:
    certificate, key = files.certificate, files.key
    garbage, broken, other_key = (tmp_path / name for name in ("garbage.pem", "broken.pem", "other.pem"))
    garbage.write_bytes(b"\x00\x01")
    broken.write_bytes(certificate.read_bytes()[:200] + b"\n-----END CERTIFICATE-----\n")
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other_key)
    for certificate_file, key_file, authority, rule in (
        (garbage, key, None, f"{garbage}: contains no certificate in PEM form"),
        (key, key, None, f"{key}: contains no certificate in PEM form"),
        (certificate, garbage, None, f"{garbage}: contains no private key in PEM form"),
        (certificate, other_key, None, f"{certificate}, {other_key}: are not a certificate and its unencrypted key"),
        (broken, key, None, f"{broken}, {key}: are not a certificate and its unencrypted key"),
        (tmp_path / "none", key, None, f"{tmp_path / 'none'}: cannot be read: No such file or directory"),
        (certificate, key, garbage, f"{garbage}: contains no certificates in PEM form"),
        (certificate, key, broken, f"{broken}: contains no certificates in PEM form"),
    ):
        with pytest.raises(CertificateError) as refused:
            ServerCertificates(certificate_file, key_file, authority).load()
        assert str(refused.value).startswith(rule)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE], ids=["UTF-8", "UTF-16"])
@pytest.mark.parametrize("name", ["certificate", "key", "authority"])
def test_a_file_with_a_byte_order_mark_is_named(files: Files, name: str, mark: bytes) -> None:
    path: Path = getattr(files, name)
    path.write_bytes(mark + path.read_bytes())
    with pytest.raises(CertificateError, match=rf"^{path}: begins with a byte order mark"):
        ServerCertificates(files.certificate, files.key, files.authority).load()


def write_authority(path: Path, kind: str) -> None:
    """Writes a file that holds no authority that can sign certificates of clients now."""
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "leaf":
        trustme.CA().issue_cert("shop.example").cert_chain_pems[0].write_to_path(path)
    elif kind == "authority and leaf":
        authority = trustme.CA()
        leaf = authority.issue_cert("shop.example").cert_chain_pems[0]
        path.write_bytes(authority.cert_pem.bytes() + leaf.bytes())
    else:
        path.write_bytes(make_authority(NOW - timedelta(2), NOW - timedelta(1)))


def make_authority(begins: datetime, ends: datetime) -> bytes:
    """Returns an authority with this life, in PEM form; trustme's own live for ever."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("empty", "contains no certificates in PEM form"),
        ("leaf", "certificate 1 is no authority"),
        ("authority and leaf", "certificate 2 is no authority"),
        ("expired", "all its authorities have expired"),
    ],
)
def test_a_file_without_authorities_changes_nothing(files: Files, kind: str, rule: str) -> None:
    certificates = ServerCertificates(files.certificate, files.key, files.authority)
    certificates.load()
    before = certificates.authorities
    write_authority(files.authority, kind)
    with pytest.raises(CertificateError, match=f"^{files.authority}: {rule}"):
        certificates.load()
    assert certificates.authorities is before
    with pytest.raises(CertificateError, match=rule):
        ServerCertificates(files.certificate, files.key, files.authority).load()


def test_an_expired_authority_may_stand_beside_its_successor(files: Files) -> None:
    new = make_authority(NOW - timedelta(1), NOW + timedelta(90))
    files.authority.write_bytes(make_authority(NOW - timedelta(2), NOW - timedelta(1)) + new)
    certificates = ServerCertificates(files.certificate, files.key, files.authority)
    certificates.load()
    assert len(certificates.authorities) == 2


@pytest.mark.parametrize("given", [("tls_certificate",), ("tls_key",), ("tls_client_ca",)])
def test_settings_that_belong_together_are_named(tmp_path: Path, given: tuple[str, ...]) -> None:
    with pytest.raises(CertificateError, match=r"tls_certificate and tls_key"):
        make_certificates(load_settings(None, **dict.fromkeys(given, tmp_path / "file.pem")))


def test_without_tls_there_are_no_certificates() -> None:
    assert make_certificates(Settings()) is None


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"not_before": NOW - timedelta(2), "not_after": NOW - timedelta(1)}, "clients refuse the certificate"),
        ({"not_before": NOW + timedelta(1), "not_after": NOW + timedelta(2)}, "clients refuse the certificate"),
        ({"not_after": NOW + timedelta(3)}, "the certificate expires soon"),
        ({"not_after": NOW + timedelta(90)}, None),
    ],
)
def test_a_certificate_that_clients_would_refuse_is_logged(
    tmp_path: Path, fields: dict[str, Any], line: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    files = issue(tmp_path, **fields)
    ServerCertificates(files.certificate, files.key, None).load()
    assert [record.message for record in caplog.records] == ([line] if line else [])


def test_a_certificate_that_expires_while_the_server_runs_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, now = issue(tmp_path, not_after=NOW + timedelta(90)), NOW.timestamp()
    certificates = ServerCertificates(files.certificate, files.key, None, clock=lambda: now)
    certificates.load()
    certificates.note_expiry()
    assert not caplog.records
    now += 91 * 86_400
    certificates.note_expiry()
    certificates.note_expiry()
    assert [record.message for record in caplog.records] == ["the certificate has expired; clients refuse it"]


@pytest.mark.parametrize(
    "fields",
    [
        {"not_before": NOW - timedelta(2), "not_after": NOW - timedelta(1)},
        {"not_before": NOW + timedelta(1), "not_after": NOW + timedelta(2)},
    ],
)
def test_a_certificate_that_clients_would_refuse_does_not_replace_a_valid_one(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    files, now = issue(tmp_path, not_after=NOW + timedelta(90)), NOW.timestamp()
    certificates = ServerCertificates(files.certificate, files.key, None, clock=lambda: now)
    certificates.load()
    ends = certificates.ends
    assert ends == pytest.approx(now + 90 * 86_400, abs=1)
    issue(tmp_path, **fields)
    with pytest.raises(CertificateError, match=r"cert\.pem: clients would refuse it: certificate"):
        certificates.load()
    assert certificates.ends == ends
    now += 91 * 86_400  # the one in use has expired as well
    certificates.load()
    assert certificates.ends == 0
    issue(tmp_path, not_after=NOW + timedelta(180))
    certificates.load()
    assert certificates.ends == pytest.approx(NOW.timestamp() + 180 * 86_400, abs=1)
