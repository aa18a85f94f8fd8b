"""Runs a peer as processes that speak JSON lines behind one queue, without a network between."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchmarks.peers.texts import Paragraph
from benchmarks.peers.turns import Turns

_LONGEST_LINE = 64 * 1024 * 1024


class PeerFailed(RuntimeError):
    """Raised when a process of a peer has ended or did not start."""


@dataclass(frozen=True)
class PeerCommand:
    """The command line of a peer. `processes`: the number of processes to start. `at_once`: the requests that one
    process takes at a time; the others wait in our queue. `splits`: True if the peer splits paragraphs into sentences;
    otherwise it gets sentences. `together`: True if the texts of all paragraphs are one request."""

    name: str
    command: tuple[str, ...]
    processes: int
    at_once: int
    splits: bool
    together: bool = False


class _Worker:
    """One process of a peer."""

    def __init__(self, process: Process, hello: dict[str, Any]) -> None:
        self.process = process
        self.hello = hello
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._count = 0
        self._reading = asyncio.create_task(self._read())

    async def ask(self, texts: Sequence[str], *, long: bool) -> dict[str, Any]:
        if self._reading.done():
            raise PeerFailed(f"process {self.process.pid} has ended")
        self._count += 1
        answer = self._answers[self._count] = asyncio.get_running_loop().create_future()
        stream = self.process.stdin
        assert stream is not None
        stream.write(json.dumps({"id": self._count, "texts": list(texts), "long": long}).encode() + b"\n")
        await stream.drain()
        reply: dict[str, Any] = await answer
        return reply

    async def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while line := await stream.readline():
            message = json.loads(line)
            self._answers.pop(message["id"]).set_result(message)
        for answer in self._answers.values():
            answer.set_exception(PeerFailed(f"process {self.process.pid} ended"))

    async def close(self) -> None:
        """Closes the input of the process, which ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()
        await self._reading


class Pool:
    """An `Engine` of one or more processes. Make it with `start_pool`."""

    def __init__(self, command: PeerCommand, workers: Sequence[_Worker]) -> None:
        self.name = command.name
        self._splits = command.splits
        self._together = command.together
        self._workers = tuple(workers)
        self._free = Turns(worker for _ in range(command.at_once) for worker in workers)

    @property
    def described(self) -> str:
        """The version and the number format that the process reports in its first line."""
        hello = self._workers[0].hello
        return f"{hello['version']} ({hello['computes']})"

    @property
    def process_ids(self) -> Sequence[int]:
        """The ids of all its processes."""
        return [worker.process.pid for worker in self._workers]

    async def translate(self, sentence: str) -> str:
        """Translates one sentence by the first process that is free."""
        texts: list[str] = (await self._ask([sentence], long=False))["texts"]
        return texts[0]

    async def translate_all(self, paragraphs: Sequence[Paragraph]) -> list[str]:
        """Translates each paragraph as one request; a process takes the next request when it is free. A peer that
        divides the texts of a request among its own workers gets all paragraphs as one request."""
        if self._together:
            parts = [self._divide(paragraph) for paragraph in paragraphs]
            texts = [text for part in parts for text in part]
            outputs = iter((await self._ask(texts, long=self._splits))["texts"])
            return [" ".join(islice(outputs, len(part))) for part in parts]
        return list(await asyncio.gather(*map(self._translate_paragraph, paragraphs)))

    async def time_single(self, sentence: str) -> float:
        """Returns the seconds that the process itself measured."""
        seconds: list[float] = (await self._ask([sentence], long=False))["seconds"]
        return seconds[0]

    async def close(self) -> None:
        """Ends its processes."""
        await asyncio.gather(*(worker.close() for worker in self._workers))

    async def _translate_paragraph(self, paragraph: Paragraph) -> str:
        return " ".join((await self._ask(self._divide(paragraph), long=self._splits))["texts"])

    def _divide(self, paragraph: Paragraph) -> Sequence[str]:
        return [paragraph.text] if self._splits else paragraph.sentences

    async def _ask(self, texts: Sequence[str], *, long: bool) -> dict[str, Any]:
        async with self._free.take() as worker:
            return await worker.ask(texts, long=long)


async def start_pool(command: PeerCommand) -> Pool:
    """Starts all processes of a peer and waits until each has loaded the model. Raises PeerFailed."""
    return Pool(command, await asyncio.gather(*(_start(command.command) for _ in range(command.processes))))


async def _start(command: Sequence[str]) -> _Worker:
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE)
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise PeerFailed(f"{command[1]} did not start")
    return _Worker(process, json.loads(line))
