"""What is around a call ends with it."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from latimer.v1 import translation_pb2 as pb
from latimer_server.interceptors import CallInterceptor


class _Context:
    """Of a call whose caller has left: what is sent fails, a little later."""

    def __init__(self) -> None:
        self.sending = asyncio.Event()
        self.left = asyncio.Event()

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def time_remaining(self) -> None:
        return None

    async def send_initial_metadata(self, metadata: object) -> None:
        self.sending.set()
        await self.left.wait()
        raise grpc.aio.UsageError("RPC already finished.")


async def test_a_call_that_is_left_while_it_begins_leaves_nothing_behind() -> None:
    context: Any = _Context()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))

    async def wait_for_ever(request: object, context: object) -> None:
        await asyncio.Event().wait()

    async def find(details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(wait_for_ever)

    details: Any = SimpleNamespace(method="/latimer.v1.TranslationService/TranslateText", invocation_metadata=())
    handler = await CallInterceptor().intercept_service(find, details)
    call = asyncio.create_task(handler.unary_unary(pb.TranslateTextRequest(), context))
    await context.sending.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    context.left.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert not complaints
