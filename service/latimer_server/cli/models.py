"""The commands `latimer-server models`: list, fetch and verify. Handles their output; the store does the work."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from latimer_server.backends.registry import prepare_model, verify_prepared
from latimer_server.cli.options import CatalogOption, ConfigOption, StoreOption, fail, read_settings
from latimer_server.core.errors import LatimerError, ModelError, ModelFileError
from latimer_server.core.languages import match_code, normalize_code
from latimer_server.models.catalog.catalog import Catalog, CatalogEntry, Task, load_catalog
from latimer_server.models.pool.loading import build_load_request
from latimer_server.models.store.store import Store

models_app = typer.Typer(help="List, fetch and verify the models of the catalogue.", no_args_is_help=True)

# A function that converts a fetched model to the form that its backend loads. It returns True if that was necessary.
Prepare = Callable[[CatalogEntry, Store], bool]
# The table of models shows up to this many language codes of a model, and for more only their number.
_NAMED_LANGUAGES = 3
# The width of a table that is not printed to a terminal: enough for one line per model, for other programs.
_PIPED_WIDTH = 200
# On a terminal of at most this many columns, the languages and the licence get narrow columns.
_NARROW = 90


@models_app.command("list")
def list_models(
    task: Annotated[Task | None, typer.Option(help="Only models for this task.")] = None,
    language: Annotated[str | None, typer.Option(help="Only models that read or write this language (BCP-47).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all details as JSON.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    catalog: CatalogOption = None,
) -> None:
    """List the models of the catalogue, and show which are fetched."""
    models, files = _open(config, store, catalog)
    try:
        code = normalize_code(language) if language else None
    except ValueError as error:
        fail(f"--language: {error}")
    entries = [
        entry
        for entry in models.entries
        if (task is None or entry.task is task) and (code is None or _has_language(entry, code))
    ]
    if as_json:
        typer.echo(json.dumps([_describe(entry, files) for entry in entries], ensure_ascii=False, indent=2))
    else:
        _print_table(entries, files)


@models_app.command("fetch")
def fetch_models(
    names: Annotated[list[str] | None, typer.Argument(help="Names of models. Default: the embedded models.")] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="Accept licences that forbid commercial use.")
    ] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    catalog: CatalogOption = None,
) -> None:
    """Fetch models into the store. Models that are there and intact are not fetched again."""
    models, files = _open(config, store, catalog)
    try:
        entries = [models.get(name) for name in dict.fromkeys(names or models.embedded)]
        device = read_settings(config, store=store, catalog=catalog).device

        def prepare(entry: CatalogEntry, files: Store) -> bool:
            return prepare_model(build_load_request(entry, files, device=device))

        fetch_missing(entries, files, accept_licenses=accept_license, prepare=prepare)
    except LatimerError as error:
        fail(error)


@models_app.command("verify")
def verify_models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of models. Default: all that have a folder, even an empty one.")
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    catalog: CatalogOption = None,
) -> None:
    """Check the digests of all fetched and converted files. End with status 1 if a file is missing or changed."""
    models, files = _open(config, store, catalog)
    faults = 0
    try:
        entries = [models.get(name) for name in names or ()] or [e for e in models.entries if files.holds_any(e)]
    except LatimerError as error:
        fail(error)
    for entry in entries:
        try:
            files.verify(entry)
            verify_prepared(build_load_request(entry, files))
            typer.echo(f"{entry.name}: intact")
        except LatimerError as error:
            faults += 1
            typer.echo(f"{entry.name}: {error}", err=True)
    if faults:
        raise typer.Exit(1)


def fetch_missing(
    entries: Sequence[CatalogEntry], files: Store, *, accept_licenses: bool = False, prepare: Prepare | None = None
) -> None:
    """Fetches the models that are missing or damaged, with progress bars, then runs `prepare` for every model.

    Prints the state of each model. Raises `LatimerError`. Errors of `prepare` are collected and raised as one
    `ModelError` after the other models are prepared.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=None)
            progress.update(bars[name], completed=done, total=total or None)

        fetched = files.fetch(entries, show, accept_licenses=accept_licenses)
    faults = []
    for entry in entries:
        was_converted = False
        if prepare is not None:
            try:
                with console.status(f"{entry.name}: preparing ..."):
                    was_converted = prepare(entry, files)
            except Exception as error:  # noqa: BLE001 (the other models must still be prepared)
                cause = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
                faults.append(f"{entry.name}: fetched, but it cannot be prepared: {cause}")
                continue
        state = "fetched" if entry.name in fetched else "already there"
        typer.echo(f"{entry.name}: {state}{', converted' if was_converted else ''}")
    if faults:
        raise ModelError("; ".join(faults))


def _print_table(entries: Iterable[CatalogEntry], files: Store) -> None:
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("name", overflow="fold")
    table.add_column("task", no_wrap=True)
    # On a terminal of 80 columns, these widths leave 22 for the name, which fits 90 % of the names.
    table.add_column("languages", max_width=13 if console.width <= _NARROW else None)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold", max_width=10 if console.width <= _NARROW else None)
    table.add_column("state", no_wrap=True)
    for entry in entries:
        row = (entry.name, entry.task.value, _describe_languages(entry), _describe_size(entry), entry.license)
        table.add_row(*row, _describe_state(entry, files))
    console.print(table)


def _describe(entry: CatalogEntry, files: Store) -> dict[str, object]:
    """Returns a model's catalogue entry and its state for JSON, without `files` and `canary`.

    `revision` is that of the fetched files, else the catalogue's.
    """
    try:
        record = files.record(entry)
    except ModelFileError:
        record = None
    return {
        **entry.model_dump(mode="json", exclude={"files", "canary"}),
        "revision": record.revision if record else entry.revision,
        "state": _describe_state(entry, files),
    }


def _describe_languages(entry: CatalogEntry) -> str:
    sides = (entry.source_languages, entry.target_languages)
    texts = [
        " ".join(codes) if len(codes) <= _NAMED_LANGUAGES else f"{len(codes)} languages" for codes in sides if codes
    ]
    return " -> ".join(texts) or "any"


def _describe_size(entry: CatalogEntry) -> str:
    if not entry.size_mb:
        return ""
    return f"{entry.size_mb} MB" if entry.size_mb < 1_000 else f"{entry.size_mb / 1_000:.1f} GB"


def _describe_state(entry: CatalogEntry, files: Store) -> str:
    return "available" if files.has(entry) else "not fetched"


def _has_language(entry: CatalogEntry, code: str) -> bool:
    """Returns True if the model reads or writes this language or a near one, or any language."""
    codes = entry.source_languages + entry.target_languages
    return not codes or match_code(code, codes) is not None


def _open(config: Path | None, store: Path | None, catalog: Path | None) -> tuple[Catalog, Store]:
    settings = read_settings(config, store=store, catalog=catalog)
    try:
        return load_catalog(settings.catalog), Store(settings.store, settings.mozilla_registry)
    except LatimerError as error:
        fail(error)
