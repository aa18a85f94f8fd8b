"""Measures what metrics, log lines, keys and traces cost: `python -m benchmarks.service.observability_cost`.

Two servers run side by side, and get the same work in turns: one with everything off, the other with what is measured.
Only the CPU time of the server's process counts, so that a busy machine changes little. Each figure is the median of
the turns. A call is one of 8 callers with a short sentence; bulk is a stream of sentences. Traces are compared with
a server that has metrics and log lines on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.service.load import SERVER
from clients.python.examples.demo import wait_until_healthy
from latimer import AsyncClient, Client

_TEXTS = Path(__file__).parents[2] / "tests/data/handbook.en.txt"
# A short sentence: the less the model computes, the better the rest can be measured.
_SHORT = "The house is very old."
_TURNS = 5
_CALLERS = 8
_CALLS = 160
_BULK_TEXTS = 160
_SCRAPE_SECONDS = 5.0
# No collector listens there: spans are made, kept and dropped, which costs the server as much as sending them does.
_COLLECTOR = "http://127.0.0.1:9"
_OFF = ("--metrics", "", "--log-level", "ERROR")
_ON = ("--metrics", "127.0.0.1:0", "--log-level", "INFO", "--log-format", "json")


@dataclass(frozen=True)
class Server:
    """A running server. `token`: what its callers send."""

    address: str
    process_id: int
    token: str | None


@dataclass(frozen=True)
class Costs:
    """The CPU microseconds of a call, and of a word in bulk."""

    call: float
    word: float


def main() -> None:
    """Measures and prints a table."""
    texts = _TEXTS.read_text("utf-8").splitlines()
    table = Table("added", "us of CPU a call, without", "with", "difference", "bulk, ratio of CPU")
    for name, without, added in (
        ("metrics and log lines", _OFF, _ON),
        ("metrics, log lines, keys and quotas", _OFF, (*_ON, "--keys")),
        ("traces of 1 % of the calls", _ON, (*_ON, "--otlp-share", "0.01")),
    ):
        pairs = asyncio.run(_compare(without, added, texts))
        calls = [statistics.median(costs.call for costs in side) for side in zip(*pairs, strict=True)]
        difference = statistics.median(second.call - first.call for first, second in pairs)
        ratio = statistics.median(second.word / first.word for first, second in pairs)
        table.add_row(name, f"{calls[0]:,.0f}", f"{calls[1]:,.0f}", f"{difference:+.1f}", f"{ratio:.3f}")
    Console(width=110).print(table)


async def _compare(without: Sequence[str], added: Sequence[str], texts: Sequence[str]) -> list[tuple[Costs, Costs]]:
    """Returns the costs of both servers for each turn. The server that goes first changes with each turn."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_run(flags)) for flags in (without, added)]
        for server in servers:
            await _measure(server, texts)  # warms up
        pairs = []
        for turn in range(_TURNS):
            order = servers if turn % 2 else servers[::-1]
            measured = {server.process_id: await _measure(server, texts) for server in order}
            pairs.append((measured[servers[0].process_id], measured[servers[1].process_id]))
        return pairs


async def _measure(server: Server, texts: Sequence[str]) -> Costs:
    async with AsyncClient(server.address, token=server.token, timeout=600) as client:
        sentences = itertools.cycle(texts)
        before = _read_cpu(server.process_id)

        async def repeat() -> None:
            for _ in range(_CALLS // _CALLERS):
                await client.translate(_SHORT, source="en", target="pt")

        await asyncio.gather(*(repeat() for _ in range(_CALLERS)))
        between = _read_cpu(server.process_id)
        bulk = list(itertools.islice(sentences, _BULK_TEXTS))
        async for _ in client.translate_many(bulk, source="en", target="pt"):
            pass
        after = _read_cpu(server.process_id)
    words = sum(len(text.split()) for text in bulk)
    return Costs((between - before) / 1e3 / _CALLS, (after - between) / 1e3 / words)


def _read_cpu(process_id: int) -> int:
    """Returns the CPU nanoseconds of all threads of a process."""
    tasks = Path(f"/proc/{process_id}/task").iterdir()
    return sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks)


@contextmanager
def _run(flags: Sequence[str]) -> Iterator[Server]:
    """Runs a server, whose metrics are scraped if it has them. `--keys` makes a key, `--otlp-share` turns traces on."""
    arguments, environment = list(flags), dict[str, str]()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        token = None
        if "--otlp-share" in arguments:
            at = arguments.index("--otlp-share")
            environment = {"LATIMER_OTLP_ENDPOINT": _COLLECTOR, "LATIMER_TRACE_SHARE": arguments[at + 1]}
            del arguments[at : at + 2]
        if "--keys" in arguments:
            keys = str(Path(folder) / "keys.toml")
            # High quotas, so that counting them is part of what is measured.
            quotas = ("--requests-per-minute", "100000000", "--characters-per-minute", "1000000000")
            command = [SERVER, "keys", "create", "bench", "--keys", keys, "--scope", "translate", *quotas]
            token = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            arguments.append(keys)
        process = stack.enter_context(
            subprocess.Popen(
                [SERVER, "serve", "--listen", "127.0.0.1:0", *arguments],
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        stack.callback(process.terminate)
        assert process.stdout
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit("the server did not start")
        address = line.split()[-1]
        if "127.0.0.1:0" in flags:
            _scrape_until_end(stack, process.stdout.readline().split()[-1])
        with Client(address, token=token) as client:
            wait_until_healthy(client)
        yield Server(address, process.pid, token)


def _scrape_until_end(stack: ExitStack, metrics: str) -> None:
    """Scrapes as Prometheus does, three times as often as it usually does, until the stack ends."""
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(_SCRAPE_SECONDS):
            with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=30) as answer:
                answer.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    stack.callback(thread.join)
    stack.callback(ended.set)


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"{time.perf_counter() - began:.0f} s")
