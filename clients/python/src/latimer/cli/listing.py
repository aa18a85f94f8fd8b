"""The commands that show what a server has: languages, models and health."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from latimer.cli import options
from latimer.cli.connection import (
    AddressOption,
    CaOption,
    ProfileOption,
    TimeoutOption,
    TlsOption,
    TokenOption,
    connect,
)
from latimer.cli.messages import FAILED, explain_errors, table_console
from latimer.cli.texts import write
from latimer.files import FORMATS

# The table of models lists at most this many languages of a model; otherwise it shows their number.
_NAMED_LANGUAGES = 3


def languages(
    as_json: options.JsonOption = False,
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    profile: ProfileOption = None,
) -> None:
    """List the language pairs that the server translates."""
    with explain_errors():
        connection = connect(address, token, ca, timeout, profile, tls=tls)
    with explain_errors(connection), connection.open() as client:
        pairs = client.language_pairs()
        if as_json:
            return _print_json(pairs)
        rows = [(pair.source_language, pair.target_language, " + ".join(pair.models)) for pair in pairs]
        return _print_table(("source", "target", "models"), rows)


def models(
    as_json: options.JsonOption = False,
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    profile: ProfileOption = None,
) -> None:
    """List the models of the server and their states."""
    with explain_errors():
        connection = connect(address, token, ca, timeout, profile, tls=tls)
    with explain_errors(connection), connection.open() as client:
        found = client.models()
        if as_json:
            return _print_json(found)
        rows = [
            (
                model.name,
                model.state.lower(),
                model.task.lower(),
                f"{_shorten(model.source_languages, 'any')} -> {_shorten(model.target_languages, 'same')}",
                model.license,
            )
            for model in found
        ]
        return _print_table(("name", "state", "task", "languages", "licence"), rows)


def health(
    service: Annotated[
        str, typer.Argument(help="Full name of a gRPC service, or model:NAME. Default: the whole server.")
    ] = "",
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = 5.0,
    profile: ProfileOption = None,
) -> None:
    """Print the health status. The exit status is 0 for SERVING, 3 without an answer, else 1."""
    with explain_errors():
        connection = connect(address, token, ca, timeout, profile, tls=tls)
    with explain_errors(connection), connection.open() as client:
        status = client.health(service)
    write(f"{status}\n")
    if status != "SERVING":
        raise typer.Exit(FAILED)


def formats(as_json: options.JsonOption = False) -> None:
    """List the formats of files: names, endings, and how uncertain units are marked."""
    if as_json:
        for each in FORMATS:
            value = {"name": each.name, "suffixes": each.suffixes, "marks": each.marks, "translates": each.translates}
            write(json.dumps(value) + "\n")
        return
    rows = [
        (each.name, " ".join(each.suffixes), each.marks or ("" if each.translates else "summaries only"))
        for each in FORMATS
    ]
    _print_table(("name", "endings", "marks uncertain units by"), rows)


def _shorten(codes: Sequence[str], none: str) -> str:
    """Returns the codes of a few languages, or the number of many. `none`: the text for an empty list."""
    return (" ".join(codes) or none) if len(codes) <= _NAMED_LANGUAGES else f"{len(codes)} languages"


def _print_json(values: Sequence[Any]) -> None:
    for value in values:
        write(json.dumps(dataclasses.asdict(value), ensure_ascii=False, default=str) + "\n")


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    table_console().print(table, crop=False)
