"""Puts load on a server: closed loops find its peak, an open loop offers more, and a probe measures its health checks.

The server and the probe are separate processes, because a process that creates load cannot measure milliseconds. Run
as a program, this module is the probe: it checks the server's health until its input ends, then prints the seconds of
each check as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from clients.python.examples.demo import wait_until_healthy
from latimer import Client
from latimer.v1 import translation_pb2, translation_pb2_grpc

SERVER = str(Path(sys.executable).with_name("latimer-server"))
# The server treats each connection as a separate client.
_CONNECTIONS = 8
_PROBE_SECONDS = 0.05
_NO_DEADLINE = 600.0


@dataclass(frozen=True)
class Server:
    """A running server: its address and the id of its process."""

    address: str
    process_id: int

    def read_resident_bytes(self) -> int:
        """Returns the resident memory of the server in bytes."""
        return read_resident_bytes(self.process_id)


def read_resident_bytes(process_id: int) -> int:
    """Returns the resident memory of a process in bytes; 0 if it has ended but is not yet reaped."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process_id}/status").read_text("utf-8"))
    return 1_024 * int(found[1]) if found else 0


@contextmanager
def run_server(*flags: str, log: int | None = None, **settings: str) -> Iterator[Server]:
    """Runs a server of the embedded models on a free port until the block ends. `settings`: passed as environment
    variables. `log`: where standard error goes, as `subprocess` takes it."""
    environment = os.environ | {f"LATIMER_{name.upper()}": value for name, value in settings.items()}
    command = [SERVER, "serve", "--listen", "127.0.0.1:0", "--metrics", "", "--log-level", "ERROR", *flags]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("listening on "):
                sys.exit("the server did not start: see its log lines above")
            server = Server(line.split()[-1], process.pid)
            with Client(server.address) as client:
                wait_until_healthy(client)
            yield server
        finally:
            process.terminate()


@dataclass(frozen=True)
class Answer:
    """The end of a call: its status, its translated source words, its seconds and its deadline in seconds."""

    code: grpc.StatusCode
    words: int
    seconds: float
    deadline: float


@dataclass
class Load:
    """The answered calls of a period of `seconds`, in the order of their ends."""

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, code: grpc.StatusCode) -> int:
        """Returns the number of calls that ended with this status."""
        return sum(answer.code is code for answer in self.answers)

    def of(self, *codes: grpc.StatusCode) -> list[Answer]:
        """Returns the calls that ended with one of these statuses."""
        return [answer for answer in self.answers if answer.code in codes]

    @property
    def words_per_second(self) -> float:
        """The source words of successful calls, a second."""
        return sum(answer.words for answer in self.answers) / self.seconds


class Callers:
    """Sends texts over several connections. Use it with `async with`."""

    def __init__(self, address: str, texts: Sequence[str]) -> None:
        self._address = address
        self._texts = texts
        self._channels: list[grpc.aio.Channel] = []
        self._stubs: list[translation_pb2_grpc.TranslationServiceAsyncStub] = []
        self._next = 0

    async def __aenter__(self) -> Callers:
        # Without this option channels of one process to one address share a connection.
        options = (("grpc.use_local_subchannel_pool", 1),)
        self._channels = [grpc.aio.insecure_channel(self._address, options=options) for _ in range(_CONNECTIONS)]
        self._stubs = [translation_pb2_grpc.TranslationServiceStub(channel) for channel in self._channels]
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    async def call(self, deadline: float = _NO_DEADLINE) -> Answer:
        """Translates the next text."""
        self._next += 1
        text = self._texts[self._next % len(self._texts)]
        request = translation_pb2.TranslateTextRequest(
            contents=[text], source_language_code="en", target_language_codes=["pt"]
        )
        began = time.perf_counter()
        try:
            await self._stubs[self._next % len(self._stubs)].TranslateText(request, timeout=deadline)
        except grpc.aio.AioRpcError as error:
            return Answer(error.code(), 0, time.perf_counter() - began, deadline)
        return Answer(grpc.StatusCode.OK, len(text.split()), time.perf_counter() - began, deadline)

    async def keep_calling(self, count: int, seconds: float) -> Load:
        """Runs `count` callers for `seconds`; each calls again as soon as it has its answer. Calls that end later are
        not counted."""
        load, began = Load(seconds=seconds), time.perf_counter()

        async def repeat() -> None:
            while time.perf_counter() - began < seconds:
                answer = await self.call()
                if time.perf_counter() - began < seconds:
                    load.answers.append(answer)

        await asyncio.gather(*(repeat() for _ in range(count)))
        return load

    async def call_at_rate(
        self, rate: float, seconds: float, deadlines: Sequence[float], note: Callable[[float], None]
    ) -> Load:
        """Makes `rate` calls a second at random times (a Poisson process) without waiting for answers. `note` is called
        with the elapsed seconds."""
        load, draw = Load(seconds=seconds), random.Random(3)
        calls: set[asyncio.Task[None]] = set()

        async def run(deadline: float) -> None:
            load.answers.append(await self.call(deadline))

        began = due = time.perf_counter()
        while due < began + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(run(draw.choice(deadlines)))
            calls.add(task)
            task.add_done_callback(calls.discard)
            due += draw.expovariate(rate)
            note(due - began)
        await asyncio.gather(*calls)
        return load


@contextmanager
def run_probe(address: str) -> Iterator[list[float]]:
    """Checks the server's health from a separate process until the block ends. Then the list holds the seconds of each
    check."""
    checks: list[float] = []
    command = [sys.executable, "-m", "benchmarks.service.load", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield checks
        finally:
            output, _ = process.communicate()
            checks += json.loads(output)


def quantile(values: Sequence[float], part: float) -> float:
    """Returns the value that a `part` (0 to 1) of the values do not exceed; 0.0 without values."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))] if ranked else 0.0


def watch_input() -> threading.Event:
    """Returns an event that is set when the standard input of this process ends."""
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    return ended


def _probe(address: str) -> None:
    ended = watch_input()
    seconds = []
    with Client(address) as client:
        while not ended.wait(_PROBE_SECONDS):
            began = time.perf_counter()
            client.health()
            seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    _probe(sys.argv[1])
