"""Runs our server as a separate process and calls it through gRPC by one client over one channel."""

from __future__ import annotations

import asyncio
import os
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

MODEL = "firefox-en-pt"
_TIMEOUT = 1_800.0
_START_SECONDS = 120.0
_POLL_SECONDS = 0.02


class ServiceFailed(RuntimeError):
    """Raised when the server did not start, is not healthy, or ended with an error."""


class Service:
    """The server as an `Engine`. Make it with `run_service`. `start_seconds`: from the start of the process until the
    health service answers SERVING. `instructions`: the instruction set that is forced, or "" for the best one."""

    def __init__(self, process: Process, client: AsyncClient, start_seconds: float, instructions: str = "") -> None:
        self.name = f"ours with {instructions}, through gRPC" if instructions else "ours, through gRPC"
        self.kernels = "unknown"
        self.client = client
        self.start_seconds = start_seconds
        self._process = process

    @property
    def described(self) -> str:
        """Its version and the kernels that run, which `read_kernels` reads."""
        return f"{__version__} ({self.kernels})"

    async def read_kernels(self) -> None:
        """Reads the number format and the kernels of the loaded student, such as int8/avx2."""
        models = await self.client.models()
        self.kernels = next(model.compute_type for model in models if model.name == MODEL) or "unknown"

    @property
    def process_ids(self) -> Sequence[int]:
        """The ids of the server's process and of its child processes."""
        return [self._process.pid, *list_children(self._process.pid)]

    async def translate(self, sentence: str) -> str:
        """Translates one sentence by one call."""
        return (await self.client.translate(sentence, source="en", target="pt")).text

    async def translate_all(self, paragraphs: Sequence[Paragraph]) -> list[str]:
        """Translates all paragraphs by one call, each as one content."""
        texts = [paragraph.text for paragraph in paragraphs]
        results = await self.client.translate(texts, source="en", target="pt")
        return [result.text for result in results]

    async def time_single(self, sentence: str) -> float:
        """Returns the seconds of the whole call."""
        started = time.perf_counter()
        await self.translate(sentence)
        return time.perf_counter() - started


def list_flags() -> list[str]:
    """Returns the flags of the server that differ from its defaults: few log lines, and no segment cache."""
    return [
        "--log-level",
        "ERROR",
        *(["--segment-cache-mb", "0"] if "segment_cache_mb" in Settings.model_fields else []),
    ]


@asynccontextmanager
async def run_service(instructions: str = "") -> AsyncIterator[Service]:
    """Runs a server on a free port until the block ends. `instructions`: the instruction set of its kernels, as
    `LATIMER_ENGINE` names it; the best one of the processor if empty. Raises ServiceFailed."""
    command = [
        str(Path(sys.executable).with_name("latimer-server")),
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "",
    ]
    began = time.perf_counter()
    environment = {**os.environ, "LATIMER_ENGINE": instructions}
    process = await asyncio.create_subprocess_exec(*command, *list_flags(), stdout=PIPE, env=environment)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        if not line.startswith("listening on "):
            raise ServiceFailed("the server did not start: see its log lines above")
        async with AsyncClient(line.split()[-1], timeout=_TIMEOUT) as client:
            while await client.health() != "SERVING":
                if time.perf_counter() - began > _START_SECONDS:
                    raise ServiceFailed(f"the server is not healthy after {_START_SECONDS:.0f} seconds")
                await asyncio.sleep(_POLL_SECONDS)
            yield Service(process, client, time.perf_counter() - began, instructions)
    finally:
        process.terminate()
        status = await process.wait()
    if status:
        raise ServiceFailed(f"the server ended with status {status}")
