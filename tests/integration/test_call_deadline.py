"""The deadline of a call, as gRPC reports it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from latimer_server.rpc.call import read_deadline


@contextmanager
def echo_deadlines(read: list[float | None]) -> Iterator[Any]:
    """Serves a method that notes the deadline of each call, and yields it as a client calls it."""

    def note(request: bytes, context: grpc.ServicerContext) -> bytes:
        read.append(read_deadline(context))
        return b""

    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {"Note": grpc.unary_unary_rpc_method_handler(note)}
    with ThreadPoolExecutor(1) as thread:
        server = grpc.server(thread)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Deadlines", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel.unary_unary("/test.Deadlines/Note")
        server.stop(0).wait()


def test_a_call_without_a_deadline_has_none() -> None:
    read: list[float | None] = []
    with echo_deadlines(read) as call:
        call(b"")
    assert read == [None]


def test_a_deadline_is_a_reading_of_the_monotonic_clock() -> None:
    read: list[float | None] = []
    with echo_deadlines(read) as call:
        before = time.monotonic()
        call(b"", timeout=600)
    assert read == [pytest.approx(before + 600, abs=60)]
