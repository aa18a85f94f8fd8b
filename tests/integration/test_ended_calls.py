"""Calls that end before their answer is ready: they are logged as ended, and only defects as errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from latimer_server.rpc.auth import Authenticator
from latimer_server.rpc.call import Call
from latimer_server.rpc.call_handler import CallHandler, Method
from latimer_server.rpc.refusal_pace import RefusalPace


def call_late_method(finish: Callable[[], Message]) -> None:
    """Calls a method that goes on after the end of the call and then runs `finish`, and waits until it has ended."""
    method = Method("/tests.Service/Late", Empty.FromString)

    def behaviour(requests: Iterator[bytes], call: Call, context: grpc.ServicerContext) -> Iterator[Message]:
        next(requests)
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait()
        yield finish()

    handler = CallHandler(Authenticator(), RefusalPace(1)).make_handler(method, behaviour)
    threads = ThreadPoolExecutor(1)
    server = grpc.server(threads, [grpc.method_handlers_generic_handler("tests.Service", {"Late": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.RpcError) as late:
            channel.unary_unary(method.path, Empty.SerializeToString)(Empty(), timeout=0.2)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    server.stop(None).wait()
    threads.shutdown()


def test_an_answer_that_comes_too_late_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        call_late_method(Empty)
    assert [(record.message, record.levelname) for record in caplog.records] == [("call", "INFO")]


def test_a_defect_after_the_end_of_a_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Message:
        raise ZeroDivisionError

    with caplog.at_level(logging.INFO):
        call_late_method(fail)
    assert "call failed" in [record.message for record in caplog.records]


class _EndedContext:
    """The context of a call whose deadline passed while it waited for a thread."""

    def is_active(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise grpc.RpcError(code)


def test_a_call_that_ends_while_it_waits_for_a_thread_is_not_begun(caplog: pytest.LogCaptureFixture) -> None:
    def behaviour(requests: Iterator[bytes], call: Call, context: grpc.ServicerContext) -> Iterator[Message]:
        raise AssertionError("the call has begun")

    method = Method("/tests.Service/Late", Empty.FromString)
    handler: Any = CallHandler(Authenticator(), RefusalPace(1)).make_handler(method, behaviour)
    with caplog.at_level(logging.INFO), pytest.raises(grpc.RpcError):
        handler.stream_unary(iter(()), _EndedContext())
    assert [record.message for record in caplog.records] == ["call"]
