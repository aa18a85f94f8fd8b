"""Measures what keys, quotas, metrics, logs and traces cost a call: `python -m benchmarks.service.operation_cost`.

Runs one server for each combination at the same time, and calls them in turns, a few calls each, so that a busy machine
slows all alike. Every call has the same sentence, which comes from the segment cache, so that the model's time does not
hide the rest. Prints the CPU microseconds of a call in the server's process and the microseconds that its caller waits:
the median of the rounds, the median of the differences to a server without any of these in the same round, and the
interval that holds that median in 95 of 100 cases. `benchmarks.micro.call_path` measures the same path in one process,
which a busy machine disturbs less.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import SERVER, Server, run_server
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

_CALLS = 20
_SECONDS = 200.0
_SENTENCE = "The committee agreed on the new rules for the port, which come into force in the spring."
_BARE = ("--segment-cache-mb", "8")
_SEEN = (*_BARE, "--metrics", "127.0.0.1:0", "--log-level", "INFO", "--log-format", "json")
_UNLIMITED = ("--requests-per-minute", "1000000000", "--characters-per-minute", "1000000000", "--concurrent", "1000")
# No collector listens there: spans are made, kept and dropped.
_TRACED = ("--otlp-endpoint", "http://127.0.0.1:9", "--trace-share", "0.01")
_NONE = "none of them"
# Standard deviations of a median of rounds that hold it in 95 of 100 cases.
_CERTAIN = 1.96


@dataclass(frozen=True)
class Cost:
    """The microseconds of a call: CPU of the server's process, and the time that the caller waits."""

    cpu: float
    wait: float


@dataclass(frozen=True)
class Caller:
    """The caller of one server. `metadata`: what it sends with each call."""

    server: Server
    stub: translation_pb2_grpc.TranslationServiceAsyncStub
    metadata: tuple[tuple[str, str], ...]

    async def measure(self) -> Cost:
        """Returns the mean cost of a few calls."""
        cpu, began = _read_cpu(self.server.process_id), time.perf_counter()
        for _ in range(_CALLS):
            await self.stub.TranslateText(_REQUEST, metadata=self.metadata)
        wait = time.perf_counter() - began
        return Cost((_read_cpu(self.server.process_id) - cpu) / 1e3 / _CALLS, 1e6 * wait / _CALLS)


_REQUEST = pb.TranslateTextRequest(contents=[_SENTENCE], source_language_code="en", target_language_codes=["pt"])


def main() -> None:
    """Measures all combinations and prints the table."""
    rounds = asyncio.run(_measure())
    table = Table("the server with", "CPU us a call", "more", "95 of 100", "wait us", "more", "95 of 100")
    for name in rounds[0]:
        cells = [name]
        for field in ("cpu", "wait"):
            values: list[float] = [getattr(costs[name], field) for costs in rounds]
            bare: list[float] = [getattr(costs[_NONE], field) for costs in rounds]
            more = sorted(value - least for value, least in zip(values, bare, strict=True))
            low, high = _bound_median(more)
            cells += [
                f"{statistics.median(values):.0f}",
                f"{statistics.median(more):+.0f}",
                f"{low:+.0f} to {high:+.0f}",
            ]
        table.add_row(*cells)
    Console(width=120).print(table, f"{len(rounds)} rounds of {_CALLS} calls")


async def _measure() -> list[dict[str, Cost]]:
    """Returns the costs of each round by combination. The server that goes first changes with each round."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        keys, secret = _make_key(Path(folder) / "keys.toml", *_UNLIMITED)
        variants: dict[str, tuple[Sequence[str], str]] = {
            _NONE: (_BARE, ""),
            "keys and quotas": ((*_BARE, "--keys", keys), secret),
            "metrics and logs": (_SEEN, ""),
            "keys, quotas, metrics and logs": ((*_SEEN, "--keys", keys), secret),
            "these, and traces of 1 % of the calls": ((*_SEEN, *_TRACED, "--keys", keys), secret),
        }
        async with AsyncExitStack() as channels:
            callers = {}
            for name, (flags, token) in variants.items():
                server = running.enter_context(run_server(*flags, log=subprocess.DEVNULL))
                channel = await channels.enter_async_context(grpc.aio.insecure_channel(server.address))
                metadata = (("authorization", f"Bearer {token}"),) if token else ()
                stub: Any = translation_pb2_grpc.TranslationServiceStub(channel)
                callers[name] = Caller(server, stub, metadata)
            for caller in callers.values():
                await caller.measure()  # warms up
            rounds: list[dict[str, Cost]] = []
            end = time.monotonic() + _SECONDS
            while time.monotonic() < end:
                names = list(callers) if len(rounds) % 2 else list(callers)[::-1]
                costs = {name: await callers[name].measure() for name in names}
                rounds.append({name: costs[name] for name in callers})
            return rounds


def _bound_median(values: Sequence[float]) -> tuple[float, float]:
    """Returns the interval that holds the median of the distribution of sorted values in 95 of 100 cases."""
    half = _CERTAIN * math.sqrt(len(values)) / 2
    middle = len(values) / 2
    return values[max(0, math.floor(middle - half))], values[min(len(values) - 1, math.ceil(middle + half))]


def _make_key(path: Path, *quotas: str) -> tuple[str, str]:
    """Makes a key file with one key. Returns its path and the secret."""
    command = [SERVER, "keys", "create", "bench", "--keys", str(path), "--scope", "translate", *quotas]
    return str(path), subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _read_cpu(process_id: int) -> int:
    """Returns the CPU nanoseconds of a process."""
    tasks = Path(f"/proc/{process_id}/task").iterdir()
    return sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks)


if __name__ == "__main__":
    main()
