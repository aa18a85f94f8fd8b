"""Reads the fields of X.509 certificates (RFC 5280) that decide about access: names, issuer, identifiers and end.

Python's library reads no certificates outside of a handshake, and `cryptography` would be a large requirement for a few
fields. The certificates of clients have passed TLS before they are read here; those of files are read by TLS as well.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address

from latimer_server.core.client_certificate import Certificate, ClientCertificate

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _EXTENSIONS, _GENERALIZED_TIME = 0x30, 0xA0, 0xA3, 0x18
_BOOLEAN = 0x01
_COMMON_NAME = bytes.fromhex("550403")
_KEY_ID, _NAMES, _ISSUER_KEY_ID = (bytes.fromhex(oid) for oid in ("551d0e", "551d11", "551d23"))
_CONSTRAINTS = bytes.fromhex("551d13")
# The tags of a subject alternative name (RFC 5280, section 4.2.1.6).
_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87
_KEY_ID_TAG = 0x80
_LONG_FORM = 0x80
# The certificates of so many clients are kept.
_MOST_KEPT = 1_024
_Element = tuple[int, bytes]


@lru_cache(maxsize=_MOST_KEPT)
def read_client_certificate(leaf: bytes, chain: bytes = b"") -> ClientCertificate:
    """Returns the certificate of a client and those that it sent along, in PEM form. Raises ValueError."""
    own = read_certificates(leaf)[0]
    return ClientCertificate(own, tuple(each for each in read_certificates(chain) if each != own))


def read_certificates(data: bytes) -> tuple[Certificate, ...]:
    """Returns the certificates of a text in PEM form. Raises ValueError if one of them is malformed."""
    blocks = (block.decode("ascii") for block in _BLOCK.findall(data))
    return tuple(_read_certificate(ssl.PEM_cert_to_DER_cert(block)) for block in blocks)


def _read_certificate(data: bytes) -> Certificate:
    try:
        ((_, certificate),) = _read_elements(data)
        (_, fields), *_ = _read_elements(certificate)
        elements = [element for element in _read_elements(fields) if element[0] != _VERSION]
        _, _, (_, issuer), (_, validity), (_, subject), *rest = elements
        _, end = _read_elements(validity)
        extensions = dict(_read_extensions(rest))
        alternatives = extensions.get(_NAMES, b"")
        has_alternatives = bool(alternatives and _unwrap(alternatives))
        names = tuple(_read_alternative_names(alternatives)) if has_alternatives else _read_common_name(subject)
        return Certificate(
            subject,
            issuer,
            _unwrap(extensions[_KEY_ID]) if _KEY_ID in extensions else b"",
            _read_issuer_key_id(extensions[_ISSUER_KEY_ID]) if _ISSUER_KEY_ID in extensions else b"",
            names,
            _read_time(end),
            _may_sign(extensions) if extensions else subject == issuer,  # roots of version 1 have no extensions
        )
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("the certificate is malformed") from error


def _read_elements(data: bytes) -> Iterator[_Element]:
    """Yields the tag and the content of each element of a value in DER."""
    at = 0
    while at < len(data):
        tag, size, start = data[at], data[at + 1], at + 2
        if size & _LONG_FORM:
            count = size & ~_LONG_FORM
            size = int.from_bytes(data[start : start + count])
            start += count
        at = start + size
        if at > len(data):
            raise ValueError("the certificate is malformed")
        yield tag, data[start:at]


def _unwrap(data: bytes) -> bytes:
    """Returns the content of the only element of a value."""
    ((_, content),) = _read_elements(data)
    return content


def _read_extensions(elements: list[_Element]) -> Iterator[tuple[bytes, bytes]]:
    """Yields the identifier and the value of each extension."""
    for tag, content in elements:
        if tag == _EXTENSIONS:
            for _, extension in _read_elements(_unwrap(content)):
                parts = [part for _, part in _read_elements(extension)]
                yield parts[0], parts[-1]


def _read_alternative_names(value: bytes) -> Iterator[str]:
    """Yields the names with their kinds, as `classify_name` writes them. Names of other kinds are left out."""
    for tag, content in _read_elements(_unwrap(value)):
        if tag == _IP:
            yield f"ip:{ip_address(content)}"
        elif tag == _DNS:
            yield f"dns:{content.decode('ascii').lower()}"
        elif tag in (_EMAIL, _URI):
            yield f"{'email' if tag == _EMAIL else 'uri'}:{content.decode('ascii')}"


def _read_common_name(subject: bytes) -> tuple[str, ...]:
    """Returns the common name, which counts as a DNS name if a certificate has no subject alternative names."""
    for _, attributes in _read_elements(subject):
        for _, attribute in _read_elements(attributes):
            (_, kind), (_, value) = _read_elements(attribute)
            if kind == _COMMON_NAME:
                return (f"dns:{value.decode('utf-8', 'replace').lower()}",)
    return ()


def _may_sign(extensions: Mapping[bytes, bytes]) -> bool:
    """Returns True if the basic constraints (RFC 5280, section 4.2.1.9) say that this is an authority."""
    constraints = _unwrap(extensions[_CONSTRAINTS]) if _CONSTRAINTS in extensions else b""
    return any(tag == _BOOLEAN and any(value) for tag, value in _read_elements(constraints))


def _read_issuer_key_id(value: bytes) -> bytes:
    return next((content for tag, content in _read_elements(_unwrap(value)) if tag == _KEY_ID_TAG), b"")


def _read_time(element: _Element) -> float:
    tag, content = element
    text = content.decode("ascii")
    if tag != _GENERALIZED_TIME:  # two digits of the year, of which 50 and more are those of the last century
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
