"""Measures what keys, quotas, metrics and logs cost a call: `python -m benchmarks.service.operation_cost`.

Runs one server for each combination at the same time, and calls them in turns, so that a busy machine slows all alike.
Every call has the same sentence, which comes from the segment cache, so that the model's time does not hide the rest.
Prints the CPU microseconds of a call in the server's process in the cheapest tenth of the rounds, and the difference to
a server without any of these.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import SERVER, Server, run_server
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

_CALLERS = 1
_CALLS = 20
_ROUNDS = 200
_SENTENCE = "The committee agreed on the new rules for the port, which come into force in the spring."
_BARE = ("--segment-cache-mb", "8")
_SEEN = ("--metrics", "127.0.0.1:0", "--log-level", "INFO", "--log-format", "json")
_UNLIMITED = ("--requests-per-minute", "1000000000", "--characters-per-minute", "1000000000", "--concurrent", "1000")


def main() -> None:
    """Measures all combinations and prints the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        plain, secret = _make_key(Path(folder) / "plain.toml")
        limited, limited_secret = _make_key(Path(folder) / "limited.toml", *_UNLIMITED)
        variants: dict[str, tuple[Sequence[str], str]] = {
            "none of them": (_BARE, ""),
            "keys": ((*_BARE, "--keys", plain), secret),
            "keys and quotas": ((*_BARE, "--keys", limited), limited_secret),
            "metrics": ((*_BARE, *_SEEN[:2]), ""),
            "logs": ((*_BARE, *_SEEN[2:]), ""),
            "metrics and logs": ((*_BARE, *_SEEN), ""),
            "keys, quotas, metrics and logs": ((*_BARE, *_SEEN, "--keys", limited), limited_secret),
        }
        servers = {
            name: (running.enter_context(run_server(*flags, log=subprocess.DEVNULL)), secret)
            for name, (flags, secret) in variants.items()
        }
        costs: dict[str, list[float]] = {name: [] for name in servers}
        for each in range(-1, _ROUNDS):
            for name, (server, secret) in servers.items():
                cost = asyncio.run(_measure(server, secret))
                if each >= 0:
                    costs[name].append(cost)
                print(f"\r{each + 1}/{_ROUNDS}", end="", file=sys.stderr, flush=True)
    table = Table("the server with", "CPU us a call", "more than with none of them")
    # Other programs on the machine only ever add to the cost, so the cheapest rounds tell most of it.
    least = {name: statistics.quantiles(taken, n=10)[0] for name, taken in costs.items()}
    for name, cost in least.items():
        table.add_row(name, f"{cost:.0f}", f"{cost - least['none of them']:+.0f}")
    Console(width=100).print(table)


async def _measure(server: Server, secret: str) -> float:
    """Returns the CPU microseconds of a call in the server's process."""
    metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
    request = pb.TranslateTextRequest(contents=[_SENTENCE], source_language_code="en", target_language_codes=["pt"])
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        await stub.TranslateText(request, metadata=metadata)

        async def repeat() -> None:
            for _ in range(_CALLS // _CALLERS):
                await stub.TranslateText(request, metadata=metadata)

        before = _read_cpu(server.process_id)
        await asyncio.gather(*(repeat() for _ in range(_CALLERS)))
        return (_read_cpu(server.process_id) - before) / 1e3 / _CALLS


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
