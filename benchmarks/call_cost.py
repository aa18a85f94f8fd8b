"""What one call of one sentence costs around the model: `python -m benchmarks.call_cost`.

Beside the server stands one that does nothing, on the same library (`grpc.aio`), with messages of the same sizes: the
floor, which no service in Python gets below. For both it prints the calls a second of 64 callers with a sentence each,
the CPU that a call costs the thread of the event loop and all other threads of the server's process, and how long a
call of five words takes from one caller, at once after the last answer and after a pause. Servers are processes of
their own; callers share the machine with them, so calls a second are those of this machine with its callers.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.load import Server, run_server, share
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

_CALLERS = 64
_SECONDS = 6.0
_LONE_CALLS = 200
_PAUSE = 0.02
_SHORT = "The house is very old."
# Sentences of the Debian Administrator's Handbook.
_TEXTS = Path(__file__).parent.parent / "tests/data/handbook.en.txt"


@dataclass(frozen=True)
class Cost:
    """Of 64 callers: calls and source words a second, microseconds of CPU a call in the loop's thread and in the
    others, milliseconds of a call at the median and at p99. `lone` and `paused`: milliseconds of one caller's calls."""

    calls: float
    words: float
    loop: float
    others: float
    median: float
    slowest: float
    lone: float
    paused: float


def main() -> None:
    """Measures both servers, the one after the other."""
    texts = _TEXTS.read_text("utf-8").splitlines()
    with run_server() as server:
        ours, size = asyncio.run(_measure(server, texts))
    with _run_nothing(size) as server:
        floor, _ = asyncio.run(_measure(server, texts))
    table = Table("", "the server", "one that does nothing")
    for name, field, digits in (
        (f"calls a second, {_CALLERS} callers", "calls", 0),
        ("source words a second", "words", 0),
        ("CPU a call, the loop's thread, us", "loop", 0),
        ("CPU a call, all other threads, us", "others", 0),
        ("a call, median, ms", "median", 1),
        ("a call, p99, ms", "slowest", 1),
        ("five words, one caller, median, ms", "lone", 2),
        (f"the same after pauses of {1e3 * _PAUSE:.0f} ms", "paused", 2),
    ):
        table.add_row(name, *(f"{getattr(cost, field):,.{digits}f}" for cost in (ours, floor)))
    Console(width=100).print(table)


async def _measure(server: Server, texts: Sequence[str]) -> tuple[Cost, int]:
    """What a call costs, and the bytes of a typical answer."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)

        async def call(text: str) -> pb.TranslateTextResponse:
            request = pb.TranslateTextRequest(contents=[text], source_language_code="en", target_language_codes=["pt"])
            request.options.disable_cache = True
            response: pb.TranslateTextResponse = await stub.TranslateText(request)
            return response

        sizes = [len((await call(text)).SerializeToString()) for text in texts[:50]]
        lone = await _time_calls(call, 0.0)
        paused = await _time_calls(call, _PAUSE)
        taken: list[float] = []
        words = 0
        end = time.perf_counter() + _SECONDS

        async def repeat(number: int) -> None:
            nonlocal words
            while (began := time.perf_counter()) < end:
                text = texts[(7 * number + len(taken)) % len(texts)]
                await call(text)
                words += len(text.split())
                taken.append(time.perf_counter() - began)

        before, began = _read_cpu(server.process_id), time.perf_counter()
        await asyncio.gather(*(repeat(number) for number in range(_CALLERS)))
        seconds, after = time.perf_counter() - began, _read_cpu(server.process_id)
    loop, others = ((new - old) / 1e3 / len(taken) for old, new in zip(before, after, strict=True))
    return Cost(
        len(taken) / seconds,
        words / seconds,
        loop,
        others,
        1e3 * share(taken, 0.5),
        1e3 * share(taken, 0.99),
        lone,
        paused,
    ), round(statistics.mean(sizes))


async def _time_calls(call: Callable[[str], Awaitable[object]], pause: float) -> float:
    """Milliseconds of one caller's calls at the median."""
    taken = []
    for _ in range(_LONE_CALLS):
        if pause:
            await asyncio.sleep(pause)
        began = time.perf_counter()
        await call(_SHORT)
        taken.append(time.perf_counter() - began)
    return 1e3 * statistics.median(taken)


def _read_cpu(process_id: int) -> tuple[int, int]:
    """Nanoseconds of CPU of a process's first thread, which its loop runs in, and of its others."""
    spent = {}
    for task in Path(f"/proc/{process_id}/task").iterdir():
        spent[int(task.name)] = int((task / "schedstat").read_text("ascii").split()[0])
    first = spent.pop(process_id)
    return first, sum(spent.values())


@contextmanager
def _run_nothing(size: int) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.call_cost", str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(f"127.0.0.1:{int(process.stdout.readline())}", process.pid)
        finally:
            process.terminate()


async def _serve_nothing(size: int) -> None:
    """Answers every call with the same message of so many bytes, which it makes and writes as any service would."""
    answer = pb.TranslateTextResponse(results=[pb.TranslationResult(translations=[pb.Translation()])])
    answer.results[0].translations[0].translated_text = "x" * max(0, size - answer.ByteSize() - 6)

    async def answer_call(_request: pb.TranslateTextRequest, _context: object) -> pb.TranslateTextResponse:
        return answer

    handler = grpc.unary_unary_rpc_method_handler(
        answer_call,
        request_deserializer=pb.TranslateTextRequest.FromString,
        response_serializer=pb.TranslateTextResponse.SerializeToString,
    )
    name = pb.DESCRIPTOR.services_by_name["TranslationService"].full_name
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"TranslateText": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_serve_nothing(int(sys.argv[1])))
    else:
        main()
