"""Measures the client's share of `translate_many`: lines a second and CPU time of the client's process against a stub
server in another process, which returns every text unchanged.

    python -m benchmarks.service.client_cost [--lines N] [--asynchronous] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import multiprocessing
import pstats
import resource
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from multiprocessing.connection import Connection
from typing import Any

import grpc

from latimer import AsyncClient, Client
from latimer.v1 import translation_pb2 as pb

_METHOD = "StreamTranslateText"


def answer_stream(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    """Yields one message of results for each message of items: every text unchanged."""
    context.send_initial_metadata(())
    for request in requests:
        if not request.items:
            continue
        response = pb.StreamTranslateTextResponse()
        for item in request.items:
            result = response.results.add(item_id=item.item_id)
            result.result.translations.add(
                translated_text=item.content, target_language_code="pt", avg_log_prob=-0.25, models=["stub"]
            )
        yield response


def run_stub(connection: Connection) -> None:
    """Serves the stub on a free port, sends the port, and ends with the connection."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    behaviour = grpc.stream_stream_rpc_method_handler(
        answer_stream,
        request_deserializer=pb.StreamTranslateTextRequest.FromString,
        response_serializer=pb.StreamTranslateTextResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("latimer.v1.TranslationService", {_METHOD: behaviour}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection.send(port)
    connection.recv()
    server.stop(0).wait()


def make_lines(count: int) -> Iterator[str]:
    """Yields short lines, all different."""
    return (f"Line {index} is about a river and its bridge." for index in range(count))


def translate_lines(address: str, count: int) -> int:
    """Translates lines by the synchronous client; returns the number of results."""
    with Client(address) as client:
        return sum(1 for _ in client.translate_many(make_lines(count), source="en", target="pt"))


async def translate_lines_asynchronously(address: str, count: int) -> int:
    """Translates lines by the asynchronous client; returns the number of results."""
    async with AsyncClient(address) as client:
        return sum([1 async for _ in client.translate_many(make_lines(count), source="en", target="pt")])


def main() -> None:
    """Prints lines a second, microseconds of CPU a line of the client's process, and its largest memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000, help="lines to translate")
    parser.add_argument("--asynchronous", action="store_true", help="measure AsyncClient")
    parser.add_argument("--profile", action="store_true", help="print the functions of all threads that take most time")
    arguments = parser.parse_args()
    connection, theirs = multiprocessing.Pipe()
    stub = multiprocessing.get_context("spawn").Process(target=run_stub, args=(theirs,), daemon=True)
    stub.start()
    address = f"127.0.0.1:{connection.recv()}"

    def run(count: int) -> int:
        if arguments.asynchronous:
            return asyncio.run(translate_lines_asynchronously(address, count))
        return translate_lines(address, count)

    run(1_000)
    profiles: list[cProfile.Profile] = []
    if arguments.profile:

        def begin(*_: object) -> None:
            profiles.append(cProfile.Profile())
            profiles[-1].enable()

        threading.setprofile(begin)
        begin()
    started, cpu = time.perf_counter(), time.process_time()
    done = run(arguments.lines)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    threading.setprofile(None)
    for profile in profiles:
        profile.disable()
    connection.send(None)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(
        f"{done} lines: {done / seconds:,.0f} lines/s, {cpu_seconds / done * 1e6:.1f} us of CPU a line in the client, "
        f"{memory:.0f} MiB at most"
    )
    for profile in profiles:
        pstats.Stats(profile).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
