"""Measures the cost of a call with one sentence outside the model: `python -m benchmarks.service.call_cost`.

Compares the server with an empty server: one on `grpc.aio` that does no work and sends messages of the same sizes. The
empty server is the lower limit for a service in Python. For both, this program prints the calls a second of 64 callers
with a sentence each; the CPU time of a call in the thread of the event loop and in all other threads of the server's
process; and the latency of a call of five words from one caller, with and without a pause before it. Servers are
separate processes, but callers share the machine with them, so the calls a second depend on the callers too.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import Server, quantile, run_server
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

_CALLERS = 64
_SECONDS = 6.0
_LONE_CALLS = 200
_PAUSE = 0.02
# The number of refused callers is small, so that they do not wait for each other instead of the server.
_REFUSED_CALLERS = 16
_PARAGRAPH_SENTENCES = 3
# The empty server refuses requests that name a model. The metadata has the size of our server's refusals.
_REFUSED_MODEL = "firefox-en-pt"
_REFUSAL = (("x-request-id", "x" * 32), ("grpc-status-details-bin", b"x" * 120))
_SHORT = "The house is very old."
# Sentences of the Debian Administrator's Handbook.
_TEXTS = Path(__file__).parents[2] / "tests/data/handbook.en.txt"


@dataclass(frozen=True)
class Cost:
    """The measured costs.

    Of 64 callers: `calls` and source `words` a second; `loop` and `others`: microseconds of CPU a call in the thread of
    the event loop and in the other threads; `median` and `slowest` (p99): milliseconds of a call. Of one caller: `lone`
    and `paused`: milliseconds of a call without and with a pause before it. `refusing` and `refused`: microseconds of
    CPU of a refused call in the server and in its caller.
    """

    calls: float
    words: float
    loop: float
    others: float
    median: float
    slowest: float
    lone: float
    paused: float
    refusing: float = 0.0
    refused: float = 0.0


def main() -> None:
    """Measures both servers, one after the other, and prints the table."""
    texts = _TEXTS.read_text("utf-8").splitlines()
    with run_server() as server:
        ours, size = asyncio.run(_measure(server, texts))
        ours = replace(ours, **asyncio.run(_measure_refusals(server, texts)))
    with _run_empty_server(size) as server:
        floor, _ = asyncio.run(_measure(server, texts))
        floor = replace(floor, **asyncio.run(_measure_refusals(server, texts)))
    table = Table("", "the server", "empty server")
    for name, field, digits in (
        (f"calls a second, {_CALLERS} callers", "calls", 0),
        ("source words a second", "words", 0),
        ("CPU a call, thread of the event loop, us", "loop", 0),
        ("CPU a call, all other threads, us", "others", 0),
        ("a call, median, ms", "median", 1),
        ("a call, p99, ms", "slowest", 1),
        ("five words, one caller, median, ms", "lone", 2),
        (f"the same after pauses of {1e3 * _PAUSE:.0f} ms", "paused", 2),
        ("CPU of a refusal, server, us", "refusing", 0),
        ("CPU of a refusal, caller, us", "refused", 0),
    ):
        table.add_row(name, *(f"{getattr(cost, field):,.{digits}f}" for cost in (ours, floor)))
    Console(width=100).print(table)


async def _measure(server: Server, texts: Sequence[str]) -> tuple[Cost, int]:
    """Measures the cost of a call. Also returns the mean size of an answer in bytes."""
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
        1e3 * quantile(taken, 0.5),
        1e3 * quantile(taken, 0.99),
        lone,
        paused,
    ), round(statistics.mean(sizes))


async def _measure_refusals(server: Server, texts: Sequence[str]) -> dict[str, float]:
    """Measures the cost of refused calls: they name a model that does not serve their language pair. (The empty server
    refuses every request that names a model.)"""
    paragraphs = [" ".join(texts[start : start + _PARAGRAPH_SENTENCES]) for start in range(50)]
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        count = 0

        async def repeat(end: float) -> None:
            nonlocal count
            while time.perf_counter() < end:
                text = paragraphs[count % len(paragraphs)]
                count += 1
                request = pb.TranslateTextRequest(
                    contents=[text], source_language_code="en", target_language_codes=["zu"], model=_REFUSED_MODEL
                )
                try:
                    await stub.TranslateText(request, timeout=10.0)
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.NOT_FOUND:
                        continue
                    raise
                sys.exit("a call was not refused")

        await repeat(time.perf_counter() + 0.5)
        count = 0
        server_before, caller_before = sum(_read_cpu(server.process_id)), time.process_time()
        await asyncio.gather(*(repeat(time.perf_counter() + _SECONDS / 2) for _ in range(_REFUSED_CALLERS)))
        server_spent = sum(_read_cpu(server.process_id)) - server_before
        caller_spent = time.process_time() - caller_before
    return {"refusing": server_spent / 1e3 / count, "refused": 1e6 * caller_spent / count}


async def _time_calls(call: Callable[[str], Awaitable[object]], pause: float) -> float:
    """Returns the median milliseconds of one caller's calls."""
    taken = []
    for _ in range(_LONE_CALLS):
        if pause:
            await asyncio.sleep(pause)
        began = time.perf_counter()
        await call(_SHORT)
        taken.append(time.perf_counter() - began)
    return 1e3 * statistics.median(taken)


def _read_cpu(process_id: int) -> tuple[int, int]:
    """Returns the CPU nanoseconds of a process's first thread, which runs its event loop, and of its other threads."""
    spent = {}
    for task in Path(f"/proc/{process_id}/task").iterdir():
        spent[int(task.name)] = int((task / "schedstat").read_text("ascii").split()[0])
    first = spent.pop(process_id)
    return first, sum(spent.values())


@contextmanager
def _run_empty_server(size: int) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.service.call_cost", str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(f"127.0.0.1:{int(process.stdout.readline())}", process.pid)
        finally:
            process.terminate()


async def _serve_empty(size: int) -> None:
    """Answers every call with the same message of `size` bytes, which it serializes for each call."""
    answer = pb.TranslateTextResponse(results=[pb.TranslationResult(translations=[pb.Translation()])])
    answer.results[0].translations[0].translated_text = "x" * max(0, size - answer.ByteSize() - 6)

    async def answer_call(request: pb.TranslateTextRequest, context: Context) -> pb.TranslateTextResponse:
        if request.model:
            await context.abort(grpc.StatusCode.NOT_FOUND, "the language pair is not served", _REFUSAL)
        return answer

    unary = grpc.unary_unary_rpc_method_handler(
        answer_call,
        request_deserializer=pb.TranslateTextRequest.FromString,
        response_serializer=pb.TranslateTextResponse.SerializeToString,
    )
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {"TranslateText": unary}
    name = pb.DESCRIPTOR.services_by_name["TranslationService"].full_name
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_serve_empty(int(sys.argv[1])))
    else:
        main()
