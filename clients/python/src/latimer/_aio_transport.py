"""Makes the calls of the asynchronous client: channels, retries and deadlines. `_transport` is the synchronous
counterpart."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any, TypeVar

import grpc

from latimer import _calls, _channel, _status, types
from latimer._aio_stream import ConvertError
from latimer._channels import Channels
from latimer._deadline import Deadline
from latimer._ledger import METHOD
from latimer.errors import ConnectionFailedError, LatimerError, WrongLoopError
from latimer.v1 import translation_pb2 as pb

T = TypeVar("T")


class AsyncTransport:
    """The connections of an `AsyncClient`. They belong to the event loop of the first call."""

    def __init__(self, connection: _channel.Connection) -> None:
        self._connection = connection
        self._channels: Channels[grpc.aio.Channel] = Channels(
            connection, grpc.aio.insecure_channel, grpc.aio.secure_channel
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = threading.Event()

    async def close(self) -> None:
        """Closes the connections and cancels calls in flight."""
        self._closed.set()
        for channel in self._channels.take_all():
            await channel.close()

    async def run(self, steps: _calls.Steps[T], timeout: float | None, retry: types.Retry | None) -> T:
        """Makes the calls that `steps` yields, one after another, and returns the result of `steps`."""
        deadline = Deadline.after(_channel.check_timeout(timeout) or self._connection.timeout)
        retries = _channel.check_retry(retry) or self._connection.retry
        try:
            call = next(steps)
            while True:
                call = steps.send(await self._try(call, deadline, retries))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _try(self, call: _calls.Call, deadline: Deadline, retry: types.Retry) -> _calls.Reply | LatimerError:
        """Makes a call, again if `retry` says so; returns its reply or its error."""
        failures = 0
        while True:
            index = self._channels.balancer.choose()
            result = await self._call(call, index, deadline)
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
            await asyncio.sleep(delay)

    async def _call(self, call: _calls.Call, index: int, deadline: Deadline) -> _calls.Reply | LatimerError:
        remaining = deadline.remaining()
        if remaining is not None and remaining <= 0:
            return deadline.error()
        if self._closed.is_set():
            return _channel.closed_error()
        method = self._get_channel(index).unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        try:
            running = method(
                call.request, timeout=remaining, metadata=self._connection.metadata(_channel.trace_metadata())
            )
            response = await running
            request_id = _status.find_request_id(await running.initial_metadata())
        except grpc.aio.AioRpcError as error:
            return self._channels.convert_error(index, error)
        except (grpc.aio.UsageError, asyncio.CancelledError):  # also from gRPC if another task has closed the channel
            if self._closed.is_set():
                return _channel.closed_error()
            raise
        self._channels.balancer.record(index, None)
        return _calls.Reply(response, request_id)

    def open_stream(self, trace: _channel.Metadata) -> tuple[Any, ConvertError]:
        """Starts a call of StreamTranslateText. `trace`: its trace context."""
        if self._closed.is_set():
            raise _channel.closed_error()
        index = self._channels.balancer.choose()
        method = self._get_channel(index).stream_stream(
            METHOD,
            request_serializer=pb.StreamTranslateTextRequest.SerializeToString,
            response_deserializer=pb.StreamTranslateTextResponse.FromString,
        )
        return method(metadata=self._connection.metadata(trace)), partial(self._channels.convert_error, index)

    def _get_channel(self, index: int) -> grpc.aio.Channel:
        """Returns the channel of an address. Raises `WrongLoopError` in another event loop than that of the first
        call."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise WrongLoopError(
                "this AsyncClient belongs to another event loop; make one client for each loop, for example in the "
                "function that asyncio.run runs"
            )
        return self._channels.get(index)
