"""Measures bursts: `python -m benchmarks.service.overload.bursts [--calls 60] [--characters 20000] [--factor 4]`.

Sends calls at once, all different, with a deadline of `factor` times what one takes alone. On an idle server `factor`
of them fit into that time. Prints how many were answered in time, refused and late, and the seconds until the last
refusal; for the calls on one connection and on a connection each. Exits with status 1 if fewer than 0.7 of those that
fit were answered, or one was late.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import run_server
from benchmarks.service.overload.texts import Writer
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

_WARM_UPS = 3
_LEAST_SHARE = 0.7


@dataclass(frozen=True)
class Outcome:
    """The end of one call: its status, and the seconds from the start of the burst."""

    code: grpc.StatusCode
    seconds: float


async def call(channel: grpc.aio.Channel, text: str, seconds: float) -> Outcome:
    """Translates a text and returns the outcome."""
    stub = translation_pb2_grpc.TranslationServiceStub(channel)
    request = pb.TranslateTextRequest(contents=[text], source_language_code="en", target_language_codes=["pt"])
    began = time.perf_counter()
    try:
        await stub.TranslateText(request, timeout=seconds)
    except grpc.aio.AioRpcError as error:
        return Outcome(error.code(), time.perf_counter() - began)
    return Outcome(grpc.StatusCode.OK, time.perf_counter() - began)


async def measure(address: str, texts: Sequence[str], seconds: float, connections: int) -> list[Outcome]:
    """Sends all texts at once over `connections` connections and returns the outcomes."""
    # Channels share connections unless their options differ.
    channels = [
        grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), ("number", n)])
        for n in range(connections)
    ]
    try:
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        return await asyncio.gather(
            *(call(channels[number % connections], text, seconds) for number, text in enumerate(texts))
        )
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def run(calls: int, characters: int, factor: float) -> int:
    """Runs both bursts and prints them. Returns the exit status."""
    writer = Writer()
    texts = [writer.write(characters) for _ in range(2 * calls + _WARM_UPS)]
    table = Table(title=f"{calls} calls of {characters:,} characters at once, deadline {factor:g} times one alone")
    for name in ("connections", "one alone, s", "answered", "of those that fit", "refused", "last refusal, s", "late"):
        table.add_column(name, justify="right")
    failed = False
    with run_server() as server:
        alone = 0.0
        for text in texts[:_WARM_UPS]:
            (outcome,) = await measure(server.address, [text], 600.0, 1)
            alone = outcome.seconds
        for part, connections in enumerate((1, calls)):
            chosen = texts[_WARM_UPS + part * calls :][:calls]
            outcomes = await measure(server.address, chosen, factor * alone, connections)
            answered = sum(one.code is grpc.StatusCode.OK for one in outcomes)
            refusals = [one.seconds for one in outcomes if one.code is grpc.StatusCode.RESOURCE_EXHAUSTED]
            late = len(outcomes) - answered - len(refusals)
            share = answered / factor
            failed |= share < _LEAST_SHARE or late > 0
            cells = (f"{alone:.3f}", answered, f"{share:.2f}", len(refusals), f"{max(refusals, default=0):.2f}", late)
            table.add_row(str(connections), *map(str, cells))
    Console().print(table)
    return int(failed)


def main() -> int:
    """Reads the command line, measures and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--factor", type=float, default=4.0)
    options = parser.parse_args()
    return asyncio.run(run(options.calls, options.characters, options.factor))


if __name__ == "__main__":
    sys.exit(main())
