"""Many calls at once: each gets a status that says what to do, also from a draining server."""

from __future__ import annotations

import asyncio
from collections import Counter

import grpc

from latimer.v1 import translation_pb2_grpc
from tests.fakes import serve_fakes
from tests.integration.test_errors import request

# More calls than gRPC's core lets wait by default.
BURST = 4_000
WAITING = 300
_CLIENT = (("grpc.enable_retries", 0),)

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE


async def call(stub: translation_pb2_grpc.TranslationServiceAsyncStub, codes: Counter[grpc.StatusCode]) -> None:
    calling = stub.TranslateText(request())
    codes[await calling.code()] += 1


async def test_every_call_of_a_burst_is_answered_or_refused_as_overload() -> None:
    codes: Counter[grpc.StatusCode] = Counter()
    async with (
        serve_fakes(max_requests=16) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=_CLIENT) as channel,
    ):
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        await asyncio.gather(*(call(stub, codes) for _ in range(BURST)))
    assert sum(codes.values()) == BURST
    # UNAVAILABLE is how a client reports a call that gRPC's overload protection has reset; clients retry it.
    assert set(codes) <= {OK, grpc.StatusCode.RESOURCE_EXHAUSTED, UNAVAILABLE}
    assert codes[OK]


async def test_calls_that_wait_to_be_accepted_get_unavailable_from_a_draining_server() -> None:
    codes: Counter[grpc.StatusCode] = Counter()
    async with (
        serve_fakes() as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=_CLIENT) as channel,
    ):
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        calls = [asyncio.create_task(call(stub, codes)) for _ in range(WAITING)]
        while not codes:
            await asyncio.sleep(0)
        await server.drain(10)
        await asyncio.gather(*calls)
    assert sum(codes.values()) == WAITING
    assert set(codes) <= {OK, UNAVAILABLE}
    assert codes[UNAVAILABLE]
