"""Measures the CPU time of a refused call: `python -m benchmarks.service.refusal_cost [--calls 2000]`.

Callers without deadlines keep a server busy with wide beams. One more connection sends calls with a deadline that the
server cannot meet, from 16 loops that retry at once. Prints for texts of two lengths the CPU time of a refusal in the
server, without the threads that compute batches and without what the server takes before and after, and the changes of
threads. Exits with status 1 if most calls were not refused.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import Server, run_server
from benchmarks.service.overload.texts import Writer
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

_LOOPS = 16
_BUSY_CALLERS = 3
_BUSY_CHARACTERS = 100_000
_BUSY_BEAMS = 6
_REST_SECONDS = 3.0
_SHAPES = ((500, 0.2), (20_000, 0.5))


@dataclass(frozen=True)
class Spent:
    """The CPU seconds and the turns of the server's threads of normal priority; batches have a lower one."""

    cpu: float
    turns: int

    @classmethod
    def read(cls, server: Server) -> Spent:
        """Returns what a server has spent until now."""
        cpu, turns = 0, 0
        for task in Path(f"/proc/{server.process_id}/task").iterdir():
            with suppress(FileNotFoundError):  # a thread that has ended
                if int((task / "stat").read_text("ascii").rpartition(")")[2].split()[16]) == 0:
                    nanoseconds, _, count = map(int, (task / "schedstat").read_text("ascii").split())
                    cpu, turns = cpu + nanoseconds, turns + count
        return cls(cpu / 1e9, turns)


async def _measure(server: Server, writer: Writer, characters: int, deadline: float, calls: int) -> tuple[str, ...]:
    """Measures refusals of texts of one length. Returns the cells of a row."""
    requests = [_request(writer.write(characters)) for _ in range(64)]
    codes: Counter[grpc.StatusCode] = Counter()
    async with grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)

        async def repeat(until: int) -> None:
            while codes.total() < until:
                codes[await stub.TranslateText(requests[codes.total() % 64], timeout=deadline).code()] += 1

        await asyncio.gather(*(repeat(200) for _ in range(_LOOPS)))
        resting = await _rest(server)
        codes.clear()
        before, began = Spent.read(server), time.perf_counter()
        await asyncio.gather(*(repeat(calls) for _ in range(_LOOPS)))
        after, seconds = Spent.read(server), time.perf_counter() - began
    refused = codes[grpc.StatusCode.RESOURCE_EXHAUSTED]
    cpu = (after.cpu - before.cpu - resting.cpu * seconds) / codes.total()
    turns = (after.turns - before.turns - resting.turns * seconds) / codes.total()
    return f"{characters:,}", f"{deadline:g}", f"{refused / codes.total():.0%}", f"{1e6 * cpu:.0f}", f"{turns:.1f}"


async def _rest(server: Server) -> Spent:
    """Returns what the server takes a second without refusals."""
    before = Spent.read(server)
    await asyncio.sleep(_REST_SECONDS)
    after = Spent.read(server)
    return Spent((after.cpu - before.cpu) / _REST_SECONDS, round((after.turns - before.turns) / _REST_SECONDS))


def _request(text: str, beams: int = 1) -> pb.TranslateTextRequest:
    request = pb.TranslateTextRequest(contents=[text], source_language_code="en", target_language_codes=["pt"])
    request.options.decoding.beam_size = beams
    return request


async def _run(server: Server, calls: int) -> int:
    writer = Writer()
    table = Table("characters", "deadline, s", "refused", "CPU of a refusal, us", "turns of threads", title="refusals")
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(server.address, [*options, ("n", n)]) for n in range(_BUSY_CALLERS)]

    async def keep_busy(channel: grpc.aio.Channel) -> None:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        while True:
            await stub.TranslateText(_request(writer.write(_BUSY_CHARACTERS), _BUSY_BEAMS))

    busy = [asyncio.create_task(keep_busy(channel)) for channel in channels]
    await asyncio.sleep(2 * _REST_SECONDS)
    rows = [await _measure(server, writer, *shape, calls) for shape in _SHAPES]
    for task in busy:
        task.cancel()
    await asyncio.gather(*(channel.close() for channel in channels))
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    return int(any(int(row[2].rstrip("%")) < 90 for row in rows))


def main() -> int:
    """Reads the command line, measures and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000)
    calls = parser.parse_args().calls
    with run_server() as server:
        return asyncio.run(_run(server, calls))


if __name__ == "__main__":
    sys.exit(main())
