"""The commands `latimer-server keys`: create, list, rotate and revoke the keys of a key file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from latimer_server.cli.options import fail
from latimer_server.config.key_editing import create_key, revoke_key, rotate_key
from latimer_server.config.key_file import KeyEntry, KeyFileError, NamedKey, describe_scope, read_keys
from latimer_server.config.value_rules import describe_fault
from latimer_server.core.access import Scope

keys_app = typer.Typer(help="The keys of callers, for `serve --keys FILE`.", no_args_is_help=True)

_NameArgument = Annotated[str, typer.Argument(help="Name of the key, which logs show.")]
_KeysOption = Annotated[Path, typer.Option("--keys", envvar="LATIMER_KEYS", help="The key file (TOML).")]
_ScopeOption = Annotated[
    str, typer.Option(help="What the key opens, separated by commas: translate, summarize, admin.")
]
_DATE_RULE = "write a date such as 2027-06-30, or a time such as 2027-06-30T12:00:00Z"


@keys_app.command("create")
def create(
    name: _NameArgument,
    keys: _KeysOption,
    scope: _ScopeOption,
    requests_per_minute: Annotated[int | None, typer.Option(help="Calls in any 60 seconds.")] = None,
    characters_per_minute: Annotated[
        int | None, typer.Option(help="Code points of contents in any 60 seconds, times the target languages.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option(help="Calls at a time.")] = None,
    expires: Annotated[str | None, typer.Option(help="When the key ends, such as 2027-06-30 (00:00 UTC).")] = None,
    certificate: Annotated[
        list[str] | None, typer.Option(help="Name of a client certificate that stands for the key; may be repeated.")
    ] = None,
) -> None:
    """Add a key to the file, and print its secret alone on a line. It is shown only this once."""
    fields = {
        "scopes": [part.strip() for part in scope.split(",") if part.strip()],
        "requests_per_minute": requests_per_minute,
        "characters_per_minute": characters_per_minute,
        "concurrent": concurrent,
        "expires": _read_date(expires) if expires else None,
        "certificates": certificate or [],
        "sha256": "0" * 64,
    }
    try:
        entry = KeyEntry.model_validate(fields)
    except ValidationError as error:
        fail("; ".join(map(_describe_option, error.errors())))
    if entry.expires and entry.expires <= datetime.now(UTC):
        fail(f"--expires: {expires} has passed")
    try:
        typer.echo(create_key(keys, name, entry))
    except KeyFileError as error:
        fail(error)


@keys_app.command("list")
def list_keys(keys: _KeysOption) -> None:
    """List the keys of the file: name, scopes, quotas and when they end."""
    try:
        for key in read_keys(keys):
            typer.echo(_describe_key(key, datetime.now(UTC)))
    except KeyFileError as error:
        fail(error)


@keys_app.command("rotate")
def rotate(
    name: _NameArgument,
    keys: _KeysOption,
    overlap_hours: Annotated[float, typer.Option(min=0, max=87_600, help="How long the old secret stays valid.")] = 24,
) -> None:
    """Give a key a new secret, and print it alone on a line. The old one stays valid for a day."""
    try:
        typer.echo(rotate_key(keys, name, timedelta(hours=overlap_hours)))
    except KeyFileError as error:
        fail(error)


@keys_app.command("revoke")
def revoke(name: _NameArgument, keys: _KeysOption) -> None:
    """Remove a key from the file. A running server refuses it within two seconds."""
    try:
        revoke_key(keys, name)
    except KeyFileError as error:
        fail(error)


def _read_date(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--expires: {text[:40]!r} is no date; {_DATE_RULE}")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _describe_option(fault: ErrorDetails) -> str:
    """Returns the error of an option: its name, its value and the rule for the value."""
    field = str(fault["loc"][0]) if fault["loc"] else ""
    if field == "scopes" and isinstance(fault["input"], str):
        return f"--scope: {describe_scope(fault['input'])}"
    if field == "scopes":
        return f"--scope: must be one or more of {', '.join(Scope)}, separated by commas"
    if field == "certificates":
        return "--certificate: must be a name of 1 to 256 characters, such as shop.example"
    return f"--{field.replace('_', '-')}: {describe_fault(fault, KeyEntry.model_fields.get(field))}"


def _describe_key(key: NamedKey, now: datetime) -> str:
    entry = key.entry
    parts = [key.name, ",".join(sorted(entry.scopes))]
    parts += [
        f"{field}={value}"
        for field in ("requests_per_minute", "characters_per_minute", "concurrent")
        if (value := getattr(entry, field))
    ]
    parts += [f"certificate={name}" for name in entry.certificates]
    if entry.expires:
        parts.append(f"{'expired' if entry.expires <= now else 'expires'}={entry.expires:%Y-%m-%dT%H:%M:%SZ}")
    if entry.previous_expires and entry.previous_expires > now:
        parts.append(f"previous_secret_until={entry.previous_expires:%Y-%m-%dT%H:%M:%SZ}")
    return "\t".join(parts)
