"""Measures callers beside one machine with many connections: `python -m benchmarks.service.overload.addresses`.

Fifty connections of one address send texts of 20,000 code points without a pause. Callers of another address translate
a paragraph each second with a deadline of 5 seconds. Prints their outcomes without and with the crowd, for a server
that shares by address and for one that shares by connection. Linux only: the other address is 127.0.0.2, from which a
relay connects. Exits with status 1 if more than a tenth is refused beside the crowd where addresses share.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import Server, run_server
from benchmarks.service.overload.texts import Writer
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

_OTHER_ADDRESS = "127.0.0.2"
_OTHERS = 4
_CHARACTERS = 500
_DEADLINE_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_CROWD_DEADLINE_SECONDS = 60.0
_WARM_CALLS = 5


@asynccontextmanager
async def relay(server: Server) -> AsyncIterator[str]:
    """Passes bytes on to the server from the other address until the block ends. Yields its own address."""
    host, _, port = server.address.rpartition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(host, int(port), local_addr=(_OTHER_ADDRESS, 0))
        with suppress(asyncio.CancelledError):  # the measurement has ended
            await asyncio.gather(copy(reader, forth), copy(back, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield "{}:{}".format(*listener.sockets[0].getsockname())
    listener.close()


async def _call(stub: translation_pb2_grpc.TranslationServiceAsyncStub, text: str, deadline: float) -> grpc.StatusCode:
    request = pb.TranslateTextRequest(contents=[text], source_language_code="en", target_language_codes=["pt"])
    return await stub.TranslateText(request, timeout=deadline).code()


async def _open(stack: AsyncExitStack, address: str) -> translation_pb2_grpc.TranslationServiceAsyncStub:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options))
    return translation_pb2_grpc.TranslationServiceStub(channel)


async def _visit(stubs: list[translation_pb2_grpc.TranslationServiceAsyncStub], seconds: float) -> tuple[str, ...]:
    """Lets the other callers work for so long. Returns the cells of a row."""
    codes: Counter[grpc.StatusCode] = Counter()
    times: list[float] = []
    writer, end = Writer(), time.perf_counter() + seconds

    async def repeat(stub: translation_pb2_grpc.TranslationServiceAsyncStub) -> None:
        while (began := time.perf_counter()) < end:
            codes[await _call(stub, writer.write(_CHARACTERS), _DEADLINE_SECONDS)] += 1
            times.append(time.perf_counter() - began)
            await asyncio.sleep(_PAUSE_SECONDS)

    await asyncio.gather(*map(repeat, stubs))
    refused, late = codes[grpc.StatusCode.RESOURCE_EXHAUSTED], codes[grpc.StatusCode.DEADLINE_EXCEEDED]
    median = sorted(times)[len(times) // 2]
    return str(codes.total()), str(codes[grpc.StatusCode.OK]), str(refused), str(late), f"{median:.2f}"


async def _measure(server: Server, connections: int, characters: int, seconds: float) -> list[tuple[str, ...]]:
    """Returns the rows without and with the crowd."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(relay(server))
        others = [await _open(stack, address) for _ in range(_OTHERS)]
        crowd = [await _open(stack, server.address) for _ in range(connections)]
        writer = Writer()
        for _ in range(_WARM_CALLS):
            await _call(others[0], writer.write(_CHARACTERS), _CROWD_DEADLINE_SECONDS)
        control = await _visit(others, seconds)

        async def flood(stub: translation_pb2_grpc.TranslationServiceAsyncStub) -> None:
            while True:
                await _call(stub, writer.write(characters), _CROWD_DEADLINE_SECONDS)
                await asyncio.sleep(_PAUSE_SECONDS / 4)

        floods = [asyncio.create_task(flood(stub)) for stub in crowd]
        await asyncio.sleep(_PAUSE_SECONDS)
        beside = await _visit(others, seconds)
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    return [("alone", *control), ("beside the crowd", *beside)]


def main() -> int:
    """Reads the command line, measures and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=16.0)
    arguments = parser.parse_args()
    table = Table("share_by_address", "", "calls", "answered", "refused", "late", "median, s")
    is_met = True
    for shares in ("true", "false"):
        with run_server(share_by_address=shares) as server:
            rows = asyncio.run(_measure(server, arguments.connections, arguments.characters, arguments.seconds))
        for row in rows:
            table.add_row(shares, *row)
        is_met &= shares == "false" or 10 * int(rows[-1][3]) <= int(rows[-1][1])
    Console().print(table)
    return int(not is_met)


if __name__ == "__main__":
    sys.exit(main())
