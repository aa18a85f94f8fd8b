"""Client certificates: their names by kind, and whether the authorities of a server stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True)
class Certificate:
    """The fields of an X.509 certificate that access depends on. Its signature is not checked here.

    `subject`, `issuer`: distinguished names in DER. `key_id`, `issuer_key_id`: the identifiers of its key and of that
    of its issuer; b"" without them. `names`: see `ClientCertificate`. `ends`: seconds since the epoch.
    `is_authority`: whether it may sign other certificates.
    """

    subject: bytes
    issuer: bytes
    key_id: bytes
    issuer_key_id: bytes
    names: tuple[str, ...]
    ends: float
    is_authority: bool = False

    def may_be_issued_by(self, other: Certificate) -> bool:
        """Returns True if `other` has the name of the issuer and, if both are known, the identifier of its key."""
        is_other_key = self.issuer_key_id and other.key_id and self.issuer_key_id != other.key_id
        return self.issuer == other.subject and not is_other_key


@dataclass(frozen=True)
class ClientCertificate:
    """The certificate with which a client has opened its connection, and the certificates that it sent along.

    TLS has checked all signatures when the connection was opened.
    """

    leaf: Certificate
    others: tuple[Certificate, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the certificate as `classify_name` writes them."""
        return self.leaf.names

    def is_trusted(self, authorities: Sequence[Certificate]) -> bool:
        """Returns True if the issuers of the certificate lead to one of the authorities, by names and key identifiers.

        Authorities may be removed while a connection is open. Their signatures need no second check: a removed
        authority has another name or another key.
        """
        current, left = self.leaf, list(self.others)
        while not any(current.may_be_issued_by(authority) for authority in authorities):
            following = next((other for other in left if current.may_be_issued_by(other)), None)
            if following is None:
                return False
            left.remove(following)
            current = following
        return True


def classify_name(name: str) -> str:
    """Returns a name with its kind, such as `dns:shop.example`, `uri:spiffe://example/shop`, `email:a@b` or `ip:::1`.

    The form of a name tells its kind: no DNS name has a colon or an `@`. DNS names are compared in lower case.
    """
    try:
        return f"ip:{ip_address(name)}"
    except ValueError:
        pass
    if ":" in name:
        return f"uri:{name}"
    return f"email:{name}" if "@" in name else f"dns:{name.lower()}"
