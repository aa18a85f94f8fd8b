"""Our server in a process of its own, called through gRPC by one client over one channel.

Knows how it is started and called, not what is measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.peers.texts import Paragraph
from benchmarks.peers.usage import list_children
from latimer import AsyncClient
from latimer_server import __version__
from latimer_server.config.settings import Settings

_TIMEOUT = 1_800.0
_START_SECONDS = 120.0
_POLL_SECONDS = 0.02


class ServiceFailed(RuntimeError):
    """The server did not start, or is not healthy, or ended badly."""


class Service:
    """An `Engine`: the server. Make it with `run_service`. `start_seconds`: from its start until it says SERVING."""

    name = "ours, through gRPC"
    described = __version__

    def __init__(self, process: Process, client: AsyncClient, start_seconds: float) -> None:
        self.client = client
        self.start_seconds = start_seconds
        self._process = process

    @property
    def process_ids(self) -> Sequence[int]:
        """The server and what it started."""
        return [self._process.pid, *list_children(self._process.pid)]

    async def translate(self, sentence: str) -> str:
        """A call of its own."""
        return (await self.client.translate(sentence, source="en", target="pt")).text

    async def translate_all(self, paragraphs: Sequence[Paragraph]) -> list[str]:
        """One call, with every paragraph as one of its contents."""
        results = await self.client.translate([one.text for one in paragraphs], source="en", target="pt")
        return [result.text for result in results]

    async def time_single(self, sentence: str) -> float:
        """Of the whole call."""
        started = time.perf_counter()
        await self.translate(sentence)
        return time.perf_counter() - started


def list_flags() -> list[str]:
    """What the server is started with beside its defaults: quiet, and its cache off, where it has one."""
    return [
        "--log-level",
        "ERROR",
        *(["--segment-cache-mb", "0"] if "segment_cache_mb" in Settings.model_fields else []),
    ]


@asynccontextmanager
async def run_service() -> AsyncIterator[Service]:
    """A server on a free port, until the block ends. Raises ServiceFailed."""
    command = [str(Path(sys.executable).with_name("latimer-server")), "serve", "--listen", "127.0.0.1:0"]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, *list_flags(), stdout=PIPE)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        if not line.startswith("listening on "):
            raise ServiceFailed("the server did not start")
        async with AsyncClient(line.split()[-1], timeout=_TIMEOUT) as client:
            while await client.health() != "SERVING":
                if time.perf_counter() - began > _START_SECONDS:
                    raise ServiceFailed("the server is not healthy")
                await asyncio.sleep(_POLL_SECONDS)
            yield Service(process, client, time.perf_counter() - began)
    finally:
        process.terminate()
        status = await process.wait()
    if status:
        raise ServiceFailed(f"the server ended with status {status}")
