"""The command `latimer-server serve`: runs the server until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import typer

from latimer_server import __version__
from latimer_server.cli.live_settings import LiveSettings
from latimer_server.cli.options import fail
from latimer_server.cli.setting_options import GivenOptions
from latimer_server.config.core_files import prevent_core_files
from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError
from latimer_server.observability.log_format import configure_logging
from latimer_server.observability.log_writer import LogWriter

if TYPE_CHECKING:
    from latimer_server.rpc.server import LatimerServer

_log = logging.getLogger(__name__)

# How long a thread may keep Python's interpreter lock while others wait for it. The event loop needs the lock at every
# turn. With Python's default of 5 ms it would wait that long each time for a thread that processes text.
_SWITCH_SECONDS = 0.001
# Seconds beyond the drain's own time after which the process ends with status 1, even if something hangs.
_EXIT_SECONDS = 15.0


def serve(options: GivenOptions) -> None:
    """Serve until SIGTERM or SIGINT. Calls in progress may then finish. SIGHUP reads files again."""
    settings = options.read()
    prevent_core_files()
    log = configure_logging(settings.log_format, settings.log_level)
    try:
        asyncio.run(_serve(settings, options, log))
    except LatimerError as error:
        fail(error)
    except Exception as error:  # noqa: BLE001 (whatever it is, the process must end)
        # Usually memory or threads ran out.
        _log.critical("server ended", exc_info=error)
        log.close()
        typer.echo(f"latimer-server: ended by {type(error).__name__}: {error}", err=True)
        # Threads that are left would keep the process alive without a server.
        os._exit(1)
    finally:
        log.close()


async def _serve(settings: Settings, options: GivenOptions, log: LogWriter) -> None:
    # gRPC reads this variable when it is imported. Its lines bypass our log: a stranger could fill the disk with 40 MB
    # of them a second, and gRPC's threads wait when nobody reads standard error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from latimer_server.backends.marian.native_library import choose_instruction_set
    from latimer_server.models.pool.gc_tuning import limit_arenas, tune_collector
    from latimer_server.rpc.listening import name_address
    from latimer_server.rpc.reloading import ReloadedPart
    from latimer_server.rpc.server import build_server

    choose_instruction_set()  # raises if the environment names an engine that cannot run
    limit_arenas()
    tune_collector()
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Until there is a server that can read its files again, the signal must not end the process.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    _log.info("start", extra={"version": __version__, "cores": settings.compute_threads})
    server = await build_server(settings)
    live = LiveSettings(settings, options, server)
    server.reloads.add(ReloadedPart("settings", (), live.load))
    reloading: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGHUP, _reload, server, reloading)
    server.monitoring.serve()
    await server.start()
    address = name_address(settings.listen, server.port)
    print(f"listening on {address}", flush=True)  # noqa: T201 (part of the interface: callers read the port)
    if server.monitoring.port is not None:
        print(f"metrics on {name_address(settings.metrics, server.monitoring.port)}", flush=True)  # noqa: T201
    preloading = loop.create_task(_preload(server, stop))
    await stop.wait()
    drain_seconds = live.current.drain_seconds
    _exit_after(drain_seconds + _EXIT_SECONDS, log)
    if preloading.done() and not preloading.cancelled() and preloading.exception():
        await server.drain(drain_seconds)
        await preloading
    preloading.cancel()
    _log.info("drain", extra={"active_calls": server.active_calls})
    await server.finish_calls(drain_seconds)
    await asyncio.to_thread(server.monitoring.close)
    _log.info("drained", extra={"active_calls": server.active_calls})
    log.close()
    # A thread that hangs must not keep the process alive.
    os._exit(0)


def _reload(server: LatimerServer, reloading: set[asyncio.Task[None]]) -> None:
    """Reads settings, keys and certificates again. `reloading` keeps the tasks that do so."""
    task = asyncio.create_task(asyncio.to_thread(server.reloads.reload))
    reloading.add(task)
    task.add_done_callback(reloading.discard)


def _exit_after(seconds: float, log: LogWriter) -> None:
    """Ends the process after `seconds`, whatever hangs by then."""

    def end() -> None:
        _log.error("drain did not end in time", extra={"seconds": seconds})
        log.close()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


async def _preload(server: LatimerServer, stop: asyncio.Event) -> None:
    """Loads the models to serve at the start, and exempts them from garbage collection.

    If loading raises an error, as it does with --strict, sets `stop`, which ends the server.
    """
    try:
        await server.preload()
    except BaseException:
        stop.set()
        raise
    server.pool.freeze_loaded()
    if waiting := server.list_unready():
        _log.warning("not ready", extra={"models": ",".join(waiting)})
    else:
        _log.info("ready", extra={"models": ",".join(server.pool.list_known())})
