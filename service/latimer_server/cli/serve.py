"""The command `latimer-server serve`: runs a server until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from latimer_server.cli.options import CatalogOption, ConfigOption, StoreOption, fail, read_settings
from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError
from latimer_server.observability.log_format import configure_logging

if TYPE_CHECKING:
    from latimer_server.rpc.server import LatimerServer

_SWITCH_SECONDS = 0.001


def serve(
    config: ConfigOption = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = None,
    store: StoreOption = None,
    catalog: CatalogOption = None,
    models: Annotated[
        str | None, typer.Option(help="Names to load at the start, with commas; '' loads none. Default: embedded.")
    ] = None,
    compute_threads: Annotated[
        int | None, typer.Option(help="Cores that batches may use together. Default: those of the container.")
    ] = None,
    segment_cache_mb: Annotated[
        int | None,
        typer.Option(
            help="Megabytes of what was translated before, so that it costs nothing again. Default: 0, off, because"
            " callers can tell from it what others sent."
        ),
    ] = None,
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
    settings = read_settings(
        config,
        listen=listen,
        store=store,
        catalog=catalog,
        models=models,
        compute_threads=compute_threads,
        segment_cache_mb=segment_cache_mb,
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
        fail(error)
    finally:
        log.close()


async def _serve(settings: Settings) -> None:
    # gRPC's core reads this when it is imported, and else tells of every connection that ends.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from latimer_server.models.pool.gc_tuning import tune_collector
    from latimer_server.rpc.server import build_server

    tune_collector()
    # How long a thread keeps Python's lock while others want it. The event loop asks for it at every turn, and each
    # time would wait for 5 ms, Python's default, for a thread that works on text.
    sys.setswitchinterval(_SWITCH_SECONDS)
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
    server.pool.freeze_loaded()
