"""Makes the calls of the synchronous client: channels, retries and deadlines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

import grpc

from latimer import _calls, _channel, _status, types
from latimer._channels import Channels
from latimer._deadline import Deadline
from latimer._ledger import METHOD
from latimer._stream import ConvertError
from latimer.errors import ConnectionFailedError, LatimerError
from latimer.v1 import translation_pb2 as pb

T = TypeVar("T")


class Transport:
    """The connections of a `Client`. Thread-safe."""

    def __init__(self, connection: _channel.Connection) -> None:
        self._connection = connection
        self._channels: Channels[grpc.Channel] = Channels(connection, grpc.insecure_channel, grpc.secure_channel)
        self._closed = threading.Event()

    def close(self) -> None:
        """Closes the connections and cancels calls in flight."""
        self._closed.set()
        for channel in self._channels.take_all():
            channel.close()

    def run(self, steps: _calls.Steps[T], timeout: float | None, retry: types.Retry | None) -> T:
        """Makes the calls that `steps` yields, one after another, and returns the result of `steps`."""
        deadline = Deadline.after(_channel.check_timeout(timeout) or self._connection.timeout)
        retries = _channel.check_retry(retry) or self._connection.retry
        try:
            call = next(steps)
            while True:
                call = steps.send(self._try(call, deadline, retries))
        except StopIteration as end:
            result: T = end.value
            return result

    def _try(self, call: _calls.Call, deadline: Deadline, retry: types.Retry) -> _calls.Reply | LatimerError:
        """Makes a call, again if `retry` says so; returns its reply or its error."""
        failures = 0
        while True:
            index = self._channels.balancer.choose()
            result = self._call(call, index, deadline)
            if isinstance(result, _calls.Reply):
                return result
            failures += 1
            delay = _channel.retry_delay(result, retry, failures)
            if delay is None or self._closed.is_set():
                return result
            if isinstance(result, ConnectionFailedError) and self._channels.balancer.has_other(index):
                delay = 0.0
            if not deadline.allows(delay):
                return result
            self._closed.wait(delay)

    def _call(self, call: _calls.Call, index: int, deadline: Deadline) -> _calls.Reply | LatimerError:
        remaining = deadline.remaining()
        if remaining is not None and remaining <= 0:
            return deadline.error()
        if self._closed.is_set():
            return _channel.closed_error()
        metadata = self._connection.metadata(_channel.trace_metadata())
        try:
            method = self._channels.get(index).unary_unary(
                call.method,
                request_serializer=type(call.request).SerializeToString,
                response_deserializer=call.response.FromString,
            )
            response, done = method.with_call(call.request, timeout=remaining, metadata=metadata)
        except grpc.RpcError as error:
            return self._channels.convert_error(index, error)
        except ValueError:  # from gRPC if another thread has closed the channel
            if self._closed.is_set():
                return _channel.closed_error()
            raise
        self._channels.balancer.record(index, None)
        return _calls.Reply(response, _status.read_request_id(done))

    def open_stream(
        self, requests: Iterator[pb.StreamTranslateTextRequest], trace: _channel.Metadata
    ) -> tuple[Any, ConvertError]:
        """Starts a call of StreamTranslateText. `trace`: its trace context."""
        if self._closed.is_set():
            raise _channel.closed_error()
        index = self._channels.balancer.choose()
        metadata = self._connection.metadata(trace)
        try:
            method = self._channels.get(index).stream_stream(
                METHOD,
                request_serializer=pb.StreamTranslateTextRequest.SerializeToString,
                response_deserializer=pb.StreamTranslateTextResponse.FromString,
            )
            return method(requests, metadata=metadata), partial(self._channels.convert_error, index)
        except ValueError:  # from gRPC if another thread has closed the channel
            if self._closed.is_set():
                raise _channel.closed_error() from None
            raise
