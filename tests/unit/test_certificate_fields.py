"""The fields of certificates are read as their issuer has written them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme

from latimer_server.rpc.certificate_fields import read_certificates, read_client_certificate

ENDS = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def read_chain(issued: trustme.LeafCert) -> tuple[bytes, bytes]:
    """Returns the certificate of a client and all that it sends."""
    return issued.cert_chain_pems[0].bytes(), b"".join(pem.bytes() for pem in issued.cert_chain_pems)


@pytest.mark.parametrize("ends", [ENDS, ENDS.replace(year=2051)], ids=["UTCTime", "GeneralizedTime"])
def test_names_have_their_kinds_and_the_end_is_in_seconds_since_the_epoch(ends: datetime) -> None:
    names = ("Shop.example", "10.0.0.1", "::1", "me@shop.example")
    issued = trustme.CA().issue_cert(*names, common_name="other.example", not_after=ends)
    found = read_client_certificate(*read_chain(issued))
    assert set(found.names) == {"dns:shop.example", "ip:10.0.0.1", "ip:::1", "email:me@shop.example"}
    assert found.leaf.ends == ends.timestamp()


def test_the_common_name_counts_without_alternative_names() -> None:
    assert read_client_certificate(*read_chain(trustme.CA().issue_cert(common_name="Shop.example"))).names == (
        "dns:shop.example",
    )


def test_only_its_authority_stands_for_a_certificate_also_through_others() -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    trusted, others = read_certificates(authority.cert_pem.bytes()), read_certificates(stranger.cert_pem.bytes())
    for issuer in (authority, authority.create_child_ca()):
        found = read_client_certificate(*read_chain(issuer.issue_cert("a.example")))
        assert found.is_trusted(trusted)
        assert found.is_trusted((*others, *trusted))
        assert not found.is_trusted(others)
        assert not found.is_trusted(())


def test_bytes_that_are_no_certificate_raise_a_value_error_only() -> None:
    data = read_chain(trustme.CA().issue_cert("a.example", not_after=ENDS + timedelta(1)))[0]
    head, _, body = data.partition(b"\n")
    for at in range(0, len(body) - 40, 7):
        changed = head + b"\n" + body[:at] + (b"B" if body[at : at + 1] != b"B" else b"C") + body[at + 1 :]
        try:
            read_certificates(changed)
        except ValueError:
            continue
