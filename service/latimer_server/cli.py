"""The command `latimer-server`: serve, and models list, fetch, verify.

The terminal, the signals and the exit status are this module's; the rest is called.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from latimer_server import __version__
from latimer_server.errors import LatimerError
from latimer_server.logs import configure_logging
from latimer_server.models.catalog import Catalog, load_catalog
from latimer_server.models.store import Store
from latimer_server.settings import Settings, load_settings

if TYPE_CHECKING:
    from latimer_server.server import LatimerServer

app = typer.Typer(name="latimer-server", help="Translation and summarization over gRPC.", no_args_is_help=True)
models_app = typer.Typer(help="The models that the server knows.", no_args_is_help=True)
app.add_typer(models_app, name="models")

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of the model files.")]
CatalogOption = Annotated[Path | None, typer.Option("--catalog", help="Your own catalogue (TOML).")]


def main() -> None:
    """The entry point; errors that have a name are one line on standard error, exit 1."""
    app()


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def serve(
    config: ConfigOption = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = None,
    store: StoreOption = None,
    catalog: CatalogOption = None,
    models: Annotated[
        str | None, typer.Option(help="Names to load at the start, with commas; '' loads none. Default: embedded.")
    ] = None,
    compute_threads: Annotated[int | None, typer.Option(help="Cores that one batch may use.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    max_model_memory: Annotated[
        str | None, typer.Option(help="Bytes of all loaded models, as 2GiB; or unlimited. Default: half of the memory.")
    ] = None,
    pivoting: Annotated[bool | None, typer.Option(help="Whether a pair may go through two models.")] = None,
    admin: Annotated[bool | None, typer.Option("--admin", help="Serve LoadModel and UnloadModel.")] = None,
    strict: Annotated[
        bool | None, typer.Option("--strict", help="End if a model cannot be loaded at the start.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
) -> None:
    """Serve until SIGTERM or SIGINT; calls in flight then finish."""
    settings = _load_settings(
        config,
        listen=listen,
        store=store,
        catalog=catalog,
        models=models,
        compute_threads=compute_threads,
        device=device,
        max_model_memory=max_model_memory,
        pivoting=pivoting,
        admin=admin,
        strict=strict,
        log_format=log_format,
        log_level=log_level,
    )
    log = configure_logging(settings.log_format, settings.log_level)
    try:
        asyncio.run(_serve(settings))
    except LatimerError as error:
        _fail(error)
    finally:
        log.close()


async def _serve(settings: Settings) -> None:
    # gRPC's core reads this when it is imported, and else tells of every connection that ends.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from latimer_server.server import build_server

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await build_server(settings)
    await server.start()
    host = settings.listen.rpartition(":")[0] or settings.listen
    print(f"listening on {host}:{server.port}", flush=True)  # noqa: T201 (others read this line)
    preloading = loop.create_task(_preload(server, stop))
    await stop.wait()
    preloading.cancel()
    await server.drain(settings.drain_seconds)
    try:
        await preloading
    except asyncio.CancelledError:
        return


async def _preload(server: LatimerServer, stop: asyncio.Event) -> None:
    """Loads what the server starts with; has it end if that is reason to."""
    try:
        await server.preload()
    except BaseException:
        stop.set()
        raise
    server.pool.settle()


@models_app.command("list")
def list_models(config: ConfigOption = None, store: StoreOption = None, catalog: CatalogOption = None) -> None:
    """Show the catalogue and which models are fetched."""
    known, files = _open(config, store, catalog)
    table = Table("name", "task", "languages", "licence", "state", box=None, pad_edge=False)
    for entry in known.entries:
        pair = f"{' '.join(entry.source_languages)} -> {' '.join(entry.target_languages)}"
        languages = pair if entry.source_languages else "any"
        state = "available" if files.has(entry) else "not fetched"
        table.add_row(entry.name, entry.task.value, languages, entry.license, state)
    Console().print(table)


@models_app.command("fetch")
def fetch_models(
    names: Annotated[list[str] | None, typer.Argument(help="Models; none: the embedded set.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    catalog: CatalogOption = None,
) -> None:
    """Bring models into the store; those that are there and intact cost nothing."""
    known, files = _open(config, store, catalog)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        entries = [known.get(name) for name in names or known.embedded]
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bars = {}

            def show(what: str, done: int, total: int) -> None:
                if what not in bars:
                    bars[what] = progress.add_task(what, total=total)
                progress.update(bars[what], completed=done, total=total)

            fetched = files.fetch(entries, show)
    except LatimerError as error:
        _fail(error)
    for entry in entries:
        typer.echo(f"{entry.name}: {'fetched' if entry.name in fetched else 'already there'}")


@models_app.command("verify")
def verify_models(
    names: Annotated[list[str] | None, typer.Argument(help="Models; none: all that are fetched.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    catalog: CatalogOption = None,
) -> None:
    """Recompute every digest; exit 1 if any file is missing or changed."""
    known, files = _open(config, store, catalog)
    faults = 0
    try:
        entries = [known.get(name) for name in names or ()] or [entry for entry in known.entries if files.has(entry)]
    except LatimerError as error:
        _fail(error)
    for entry in entries:
        try:
            files.verify(entry)
            typer.echo(f"{entry.name}: intact")
        except LatimerError as error:
            faults += 1
            typer.echo(f"{entry.name}: {error}", err=True)
    if faults:
        raise typer.Exit(1)


def _open(config: Path | None, store: Path | None, catalog: Path | None) -> tuple[Catalog, Store]:
    settings = _load_settings(config, store=store, catalog=catalog)
    try:
        return load_catalog(settings.catalog), Store(settings.store)
    except LatimerError as error:
        _fail(error)


def _load_settings(config: Path | None, **flags: object) -> Settings:
    try:
        return load_settings(config, **flags)
    except ValidationError as error:
        _fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
    except (OSError, ValueError) as error:
        _fail(error)


def _fail(error: object) -> NoReturn:
    typer.echo(f"latimer-server: {error}", err=True)
    sys.exit(1)
