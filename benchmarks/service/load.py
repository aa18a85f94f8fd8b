"""Callers of a server: closed loops that find what it can bear, an open loop that asks for more, and a health probe.

The server is a process of its own, and so is the probe: whoever makes load cannot measure milliseconds beside it.
Run as a program it is the probe: it asks until its input ends, then prints the seconds of each answer as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
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
# Each connection is a caller of its own to the server.
_CONNECTIONS = 8
_PROBE_SECONDS = 0.05
_NO_DEADLINE = 600.0


@dataclass(frozen=True)
class Server:
    """A server that listens: its address, and the process that it is."""

    address: str
    process_id: int

    def read_resident_bytes(self) -> int:
        """The memory that it has now, as the system counts it."""
        status = Path(f"/proc/{self.process_id}/status").read_text("ascii")
        return 1_024 * int(status.partition("VmRSS:")[2].split()[0])


@contextmanager
def run_server(*flags: str, **settings: str) -> Iterator[Server]:
    """A server of the embedded models on a free port, ready to answer. `settings`: those that have no flag."""
    environment = os.environ | {f"LATIMER_{name.upper()}": value for name, value in settings.items()}
    command = [SERVER, "serve", "--listen", "127.0.0.1:0", "--log-level", "ERROR", *flags]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("listening on "):
                sys.exit("the server did not start")
            server = Server(line.split()[-1], process.pid)
            with Client(server.address) as client:
                wait_until_healthy(client)
            yield server
        finally:
            process.terminate()


@dataclass(frozen=True)
class Answer:
    """How a call ended: its status, the words that came out translated, its seconds and those it was given."""

    code: grpc.StatusCode
    words: int
    seconds: float
    deadline: float


@dataclass
class Load:
    """What callers sent and got. `answers` in the order of their ends."""

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, code: grpc.StatusCode) -> int:
        """Calls that ended so."""
        return sum(answer.code is code for answer in self.answers)

    def of(self, *codes: grpc.StatusCode) -> list[Answer]:
        """The calls that ended in one of these ways."""
        return [answer for answer in self.answers if answer.code in codes]

    @property
    def words_per_second(self) -> float:
        """Source words of calls that were answered, a second."""
        return sum(answer.words for answer in self.answers) / self.seconds


class Callers:
    """Sends texts from several connections. Use it inside `async with`."""

    def __init__(self, address: str, texts: Sequence[str]) -> None:
        self._address = address
        self._texts = texts
        self._channels: list[grpc.aio.Channel] = []
        self._stubs: list[translation_pb2_grpc.TranslationServiceAsyncStub] = []
        self._next = 0

    async def __aenter__(self) -> Callers:
        # Else channels of one process to one address share a connection.
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
        """So many callers, each with its next call as soon as it has the answer to the last one. What counts is what
        is answered within `seconds`."""
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
        """So many calls a second whatever becomes of them, at random times. `note` is told how far it is."""
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
    """Asks for the health all the time, from a process of its own; the list holds the seconds when it has ended."""
    found: list[float] = []
    command = [sys.executable, "-m", "benchmarks.service.load", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield found
        finally:
            output, _ = process.communicate()
            found += json.loads(output)


def share(values: Sequence[float], part: float) -> float:
    """The value that `part` of the values do not pass."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))] if ranked else 0.0


def _probe(address: str) -> None:
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    seconds = []
    with Client(address) as client:
        while not ended.wait(_PROBE_SECONDS):
            began = time.perf_counter()
            client.health()
            seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    _probe(sys.argv[1])
