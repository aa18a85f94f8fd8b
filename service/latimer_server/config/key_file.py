"""The key file: a TOML file of named keys, their digests, scopes and quotas.

    [keys.shop]
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    scopes = ["translate"]
    requests_per_minute = 600
    expires = 2027-06-30T00:00:00Z

`latimer-server keys` writes it. The file holds no secret: a secret has 256 random bits, so that its digest can be
neither inverted nor guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from latimer_server.config.toml_lines import TomlError, find_line, parse_toml
from latimer_server.config.value_rules import describe_fault, suggest
from latimer_server.core.access import QuotaLimits, Scope
from latimer_server.core.client_certificate import classify_name
from latimer_server.core.errors import LatimerError
from latimer_server.core.escaping import escape_unprintable

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_MOST_BYTES = 16 << 20
# Of names that are shown in an error.
_MOST_SHOWN = 70
# Sums of characters stay exact in Redis, whose scripts count in floating point of 64 bits.
_MOST = 1_000_000_000_000
# A field has the path keys.NAME.FIELD.
_FIELD_DEPTH = 3


class KeyFileError(LatimerError):
    """The key file cannot be used. The message names the file, and the line if it has one."""


def digest_secret(secret: str) -> bytes:
    """Returns the SHA-256 of a secret, by which key files know it."""
    return sha256(secret.encode()).digest()


def read_expiry(value: object) -> object:
    """Returns a date as the datetime at which it begins, in UTC; a datetime without a zone is in UTC. Raises ValueError
    for a time whose zone takes it out of the calendar."""
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError("is no date of the years 1 to 9999 in UTC") from None
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return value


# Strict: pydantic else reads texts, which have no zone then, and numbers as seconds or milliseconds.
_Expiry = Annotated[datetime, Field(strict=True), BeforeValidator(read_expiry)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Limit = Annotated[int, Field(ge=1, le=_MOST, strict=True)]
_NAME_RULE = "a name has 1 to 64 letters, digits, `-` and `_`"


def _field(default: Any, rule: str, **bounds: Any) -> Any:  # noqa: ANN401 (as Field)
    """Returns a field of a key. `rule`: what its value must be, see `value_rules`. `bounds`: of pydantic's `Field`."""
    return Field(default, json_schema_extra={"rule": rule}, **bounds)


def _date() -> Any:  # noqa: ANN401 (as Field)
    return _field(None, "a date such as 2027-06-30, or a time such as 2027-06-30T12:00:00Z, without quotation marks")


def _digest() -> Any:  # noqa: ANN401
    return _field(None, "the SHA-256 of the secret: 64 digits from 0 to 9 and letters from a to f")


def _quota() -> Any:  # noqa: ANN401
    return _field(None, f"a whole number from 1 to {_MOST:,}; leave it out for no bound")


class KeyEntry(BaseModel):
    """A key as the file describes it.

    `sha256`: the digest of its secret. `previous_sha256`: of the secret before the last rotation, which is accepted
    until `previous_expires`. `certificates`: names of client certificates that stand for the key, whose form tells
    their kind (`classify_name`). The quotas are unlimited if they are missing. `expires`: when the key ends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: _Digest | None = _digest()
    previous_sha256: _Digest | None = _digest()
    previous_expires: _Expiry | None = _date()
    certificates: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = _field(
        (), 'a list of names of 1 to 256 characters, such as ["shop.example"]'
    )
    scopes: frozenset[Scope] = _field(
        ..., f'a list of one or more of {", ".join(Scope)}, such as ["translate"]', min_length=1
    )
    requests_per_minute: _Limit | None = _quota()
    characters_per_minute: _Limit | None = _quota()
    concurrent: _Limit | None = _quota()
    expires: _Expiry | None = _date()

    @model_validator(mode="after")
    def _check(self) -> KeyEntry:
        if not self.sha256 and not self.certificates:
            raise ValueError("needs sha256, or certificates whose names stand for the key")
        if bool(self.previous_sha256) != bool(self.previous_expires):
            raise ValueError("needs both previous_sha256 and previous_expires, or none of them")
        return self

    @property
    def limits(self) -> QuotaLimits:
        """The quotas of the key."""
        return QuotaLimits(self.requests_per_minute, self.characters_per_minute, self.concurrent)


@dataclass(frozen=True)
class NamedKey:
    """A key of the file with its name."""

    name: str
    entry: KeyEntry


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: dict[Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")], KeyEntry] = Field(default_factory=dict)


def read_keys(path: Path) -> tuple[NamedKey, ...]:
    """Returns the keys of a file, expired ones too. Raises `KeyFileError`.

    The file is UTF-8, with or without a byte order mark. A file without keys is valid: every call is refused.
    """
    return parse_keys(path, read_text(path))


def read_text(path: Path) -> str:
    """Returns the text of a key file. Raises `KeyFileError`."""
    if path.exists() and not path.is_file():
        raise KeyFileError(f"{path}: is no regular file")
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise KeyFileError(f"{path}: has more than {_MOST_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KeyFileError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8") from None


def parse_keys(path: Path, text: str) -> tuple[NamedKey, ...]:
    """Returns the keys of the text of the file `path`. Raises `KeyFileError`."""
    try:
        data = parse_toml(text)
    except TomlError as error:
        raise KeyFileError(f"{path}: is no TOML file: {error}") from None
    try:
        keys = _KeyFile.model_validate(data).keys
    except ValidationError as error:
        raise KeyFileError("; ".join(_describe(path, text, fault) for fault in error.errors()[:8])) from None
    named = tuple(NamedKey(name, entry) for name, entry in keys.items())
    _check_unique(path, named)
    return named


def _check_unique(path: Path, keys: tuple[NamedKey, ...]) -> None:
    owners: dict[str, str] = {}
    for key in keys:
        entry = key.entry
        marks = [("name", key.name.casefold()), *(("certificate", classify_name(name)) for name in entry.certificates)]
        marks += [("sha256", digest) for digest in (entry.sha256, entry.previous_sha256) if digest]
        for kind, mark in marks:
            owner = owners.setdefault(f"{kind} {mark}", key.name)
            if owner != key.name:
                raise KeyFileError(f"{path}: the keys {owner!r} and {key.name!r} have the same {kind}")


def describe_scope(word: str) -> str:
    """Returns the error of a scope that does not exist, with the known scopes."""
    return f"{word[:_MOST_SHOWN]!a} is no scope; the scopes are {', '.join(Scope)}{suggest(word[:_MOST_SHOWN], Scope)}"


def _shorten(name: str) -> str:
    return name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}..."


def _describe(path: Path, text: str, fault: Any) -> str:  # noqa: ANN401 (pydantic's ErrorDetails)
    where = [str(part) for part in fault["loc"] if part != "[key]"]
    field_name = where[_FIELD_DEPTH - 1] if len(where) >= _FIELD_DEPTH else ""
    if fault["loc"] and fault["loc"][-1] == "[key]":
        rule = _NAME_RULE
    elif fault["type"] == "extra_forbidden":
        known = KeyEntry.model_fields if where[:-1] else _KeyFile.model_fields
        rule = f"is no known field{suggest(where[-1][:_MOST_SHOWN], known)}"
    elif field_name == "scopes" and isinstance(fault["input"], str):
        rule = describe_scope(fault["input"])
    elif len(where) < _FIELD_DEPTH and fault["type"] != "value_error":
        rule = "must be a table; write its fields below a line [keys.NAME]"
    else:
        rule = describe_fault(fault, KeyEntry.model_fields.get(field_name))
    # A name may hold line breaks and control characters, which must not reach a log as they are.
    shown = escape_unprintable(".".join(_shorten(part) for part in where))
    return f"{path}: line {find_line(text, where)}: {shown}: {rule}"
