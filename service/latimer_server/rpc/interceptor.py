"""Handles every call around its servicer: sets its request id, checks its token, converts exceptions to statuses and
logs its end.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import random
import re
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from latimer_server import __version__
from latimer_server.core.errors import InvalidRequest, LatimerError, Overloaded, Unauthenticated, Unavailable, Violation
from latimer_server.observability.log_format import request_id
from latimer_server.rpc.caller_identity import current_caller, identify_caller
from latimer_server.rpc.error_status import is_expected, to_status

_log = logging.getLogger(__name__)

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{1,64}")
# Request ids are names for the log, not secrets. The system's random numbers would release the interpreter lock, and
# batches would take it.
_draw = random.Random().getrandbits
_RETRY_PUSHBACK_MS = "1000"
# Services that need no token: the probes of a container have no credentials.
_OPEN_SERVICES = ("/grpc.health.v1.Health/",)
_OWN_SERVICES = "/latimer."
_LAST_MESSAGE_SECONDS = 0.2
# If no call begins within this time, no call is waiting to be accepted, even if a turn of the event loop takes as long.
_QUIET_SECONDS = 0.05

_CODES = {int(code.value[0]): code for code in grpc.StatusCode}

# The exceptions by which the runtime ends a call or the process. They are not failures of the call.
_RUNTIME_EXITS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]
Handler = Any  # grpc.RpcMethodHandler, whose four behaviours are untyped in the library
Context = grpc.aio.ServicerContext[Any, Any]


class _Undecodable:
    """Replaces a request whose bytes cannot be decoded."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Sets the request id of each call, checks its token, converts its exceptions to statuses and logs its end."""

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self._tokens = tuple(token.encode() for token in tokens)
        # By method name: the library's handler and its wrapper.
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()
        self._begun = 0  # calls since the server started

    async def end_watchers(self) -> None:
        """Ends the streams that would otherwise end only when their callers leave. Latimer's streams get no further
        messages, and end when they have answered those that they have. Streams of the standard services are cancelled
        after a short time, in which they can send their last message."""
        self._draining.set()
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=_LAST_MESSAGE_SECONDS)
        for watcher in self._watchers:
            watcher.cancel()

    async def wait_for_last(self, most: float) -> None:
        """Waits until no call has begun for a moment, at most `most` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + most
        while (left := end - loop.time()) > 0:
            begun = self._begun
            await asyncio.sleep(min(_QUIET_SECONDS, left))
            if self._begun == begun:
                return

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """Returns the wrapped handler of a method. A handler is wrapped once, because all calls share it."""
        self._begun += 1
        handler: Handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        known, wrapped = self._wrapped.get(method, (None, None))
        if known is not handler:
            wrapped = self._wrap(handler, method)
            self._wrapped[method] = handler, wrapped
        return wrapped

    def _wrap(self, handler: Handler, method: str) -> Handler:
        wrapped = handler._replace(request_deserializer=_tolerant(handler.request_deserializer))
        if handler.request_streaming and handler.response_streaming:
            return wrapped._replace(stream_stream=self._around_stream(handler.stream_stream, method))
        if handler.request_streaming:
            return wrapped._replace(stream_unary=self._around_unary(handler.stream_unary, method))
        if handler.response_streaming:
            return wrapped._replace(unary_stream=self._around_stream(handler.unary_stream, method))
        return wrapped._replace(unary_unary=self._around_unary(handler.unary_unary, method))

    def _around_unary(self, behaviour: Any, method: str) -> Any:  # noqa: ANN401
        async def call(request: Any, context: Context) -> Any:  # noqa: ANN401
            given = _read_metadata(context)
            call_log = _begin(context, method, given)
            try:
                self._check(request, method, given, context)
                response = await behaviour(request, context)
                await call_log.open()
            except _RUNTIME_EXITS:
                call_log.log_cut()
                raise
            except BaseException as error:  # noqa: BLE001 (every failure becomes a status; a Rust panic is a BaseException)
                await call_log.fail(error)
            call_log.log("OK")
            return response

        return call

    def _around_stream(self, behaviour: Any, method: str) -> Any:  # noqa: ANN401
        is_own = method.startswith(_OWN_SERVICES)

        async def call(request: Any, context: Context) -> None:  # noqa: ANN401
            given = _read_metadata(context)
            call_log = _begin(context, method, given)
            messages: AsyncGenerator[Any, None] | None = None
            try:
                self._check(request, method, given, context)
                if isinstance(request, AsyncIterable):
                    messages = request = _read_each(request, self._draining if is_own else None)
                work = asyncio.ensure_future(_answer(behaviour(request, context), context, call_log))
                if not is_own:
                    self._watchers.add(work)
                    work.add_done_callback(self._watchers.discard)
                with _ignoring_server_end(work):
                    await work
            except _RUNTIME_EXITS:
                call_log.log_cut()
                raise
            except BaseException as error:  # noqa: BLE001 (every failure becomes a status)
                await call_log.fail(error)
            finally:
                if messages is not None:
                    await messages.aclose()
            call_log.log("OK")

        return call

    def _check(self, request: object, method: str, given: Mapping[str, object], context: Context) -> None:
        peer = context.peer()
        current_caller.set(identify_caller(peer))
        if self._tokens and not method.startswith(_OPEN_SERVICES):
            offered = str(given.get("authorization", "")).removeprefix("Bearer ").encode()
            # Every token is compared, in constant time, so that the delay of an answer reveals nothing.
            if not any([hmac.compare_digest(offered, token) for token in self._tokens]):  # noqa: C419
                raise Unauthenticated(
                    "the call needs metadata `authorization: Bearer TOKEN` with a token that this server accepts"
                )
            current_caller.set(identify_caller(peer, offered))
        if isinstance(request, _Undecodable):
            raise _undecodable_error()


def _read_metadata(context: Context) -> Mapping[str, object]:
    return dict(context.invocation_metadata() or ())


def _begin(context: Context, method: str, given: Mapping[str, object]) -> _CallLog:
    offered = given.get("x-request-id", "")
    identifier = offered if isinstance(offered, str) and _REQUEST_ID.fullmatch(offered) else f"{_draw(128):032x}"
    request_id.set(identifier)
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("call began", extra={"method": method})
    return _CallLog(context, method, identifier)


class _CallLog:
    """The status and the log line with which one call ends."""

    def __init__(self, context: Context, method: str, identifier: str) -> None:
        self._context = context
        self._method = method
        self._identifier = identifier
        self._began = time.monotonic()
        self._opened = False

    async def open(self) -> None:
        """Sends the initial metadata, once: the request id and the server's version."""
        if not self._opened:
            self._opened = True
            await self._context.send_initial_metadata(self._identity())

    def _identity(self) -> tuple[tuple[str, str], ...]:
        return ("x-request-id", self._identifier), ("x-latimer-version", __version__)

    async def fail(self, error: BaseException) -> NoReturn:
        """Ends the call with the error's status."""
        if isinstance(error, grpc.aio.AbortError):
            _forget_trace_of(error)
            raise error
        status = to_status(error, self._identifier)
        code = _CODES[status.code]
        if not is_expected(error):
            _log.error("call failed", exc_info=error, extra={"method": self._method})
        self.log(code.name, error.reason if isinstance(error, LatimerError) else "INTERNAL")
        trailing: list[tuple[str, str | bytes]] = [
            *self._identity(),
            ("grpc-status-details-bin", status.SerializeToString()),
        ]
        # A client may retry a call only if it has not received initial metadata (gRFC A6). A call that is refused for
        # lack of room gets none either: the server has most to do at that time.
        if isinstance(error, Unavailable):
            trailing.append(("grpc-retry-pushback-ms", _RETRY_PUSHBACK_MS))
        elif not isinstance(error, Overloaded):
            await self.open()
        try:
            await self._context.abort(code, status.message, tuple(trailing))
        except grpc.aio.AbortError as aborted:
            _forget_trace_of(aborted)
            raise

    def log_cut(self) -> None:
        """Logs a call that its caller, its deadline or the end of the server cancelled."""
        remaining = self._context.time_remaining()
        self.log("DEADLINE_EXCEEDED" if remaining is not None and remaining <= 0 else "CANCELLED")

    def log(self, code: str, reason: str = "") -> None:
        """Logs one line for each call; for health checks at level DEBUG only."""
        level = logging.DEBUG if self._method.startswith(_OPEN_SERVICES) else logging.INFO
        if not _log.isEnabledFor(level):
            return
        milliseconds = round(1_000 * (time.monotonic() - self._began), 1)
        extra = {"method": self._method, "code": code, "milliseconds": milliseconds}
        _log.log(level, "call", extra=extra | ({"reason": reason} if reason else {}))


def _forget_trace_of(error: grpc.aio.AbortError) -> None:
    """Drops the traceback of an error in the next turn of the event loop, when the library has handled it. The library
    keeps the error with the call, and the traceback's frames keep the call. Only a garbage collection would free such a
    cycle, and it stops the process for milliseconds."""

    def forget() -> None:
        error.__traceback__ = error.__context__ = None

    asyncio.get_running_loop().call_soon(forget)


def _undecodable_error() -> InvalidRequest:
    return InvalidRequest(Violation("", "the request cannot be decoded as a message of this method"))


async def _read_each(requests: AsyncIterable[Any], draining: asyncio.Event | None) -> AsyncGenerator[Any, None]:
    """Yields the messages of a stream. Raises `InvalidRequest` for a message that cannot be decoded, and `Unavailable`
    when the server drains while the stream waits for a message."""
    messages = aiter(requests)
    over = asyncio.ensure_future((draining or asyncio.Event()).wait())
    try:
        while True:
            read = asyncio.ensure_future(anext(messages, None))
            try:
                await asyncio.wait((read, over), return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    raise Unavailable(
                        "the server is shutting down; send the items without a result again on another stream"
                    )
            finally:
                read.cancel()
            message = read.result()
            if isinstance(message, _Undecodable):
                raise _undecodable_error()
            if message is None:
                return
            yield message
    finally:
        over.cancel()


async def _answer(answering: Any, context: Context, call_log: _CallLog) -> None:  # noqa: ANN401
    """Sends the responses of a stream. As in the library, the servicer's method is a generator, or a coroutine that
    writes its responses itself (Watch of the health service)."""
    if isinstance(answering, AsyncIterator):
        try:
            async for response in answering:
                await call_log.open()
                # None means that the stream is accepted and has no message yet.
                if response is not None:
                    await context.write(response)
        finally:
            # Closed at once, so that its resources are free when the call is over.
            if isinstance(answering, AsyncGenerator):
                await answering.aclose()
    else:
        await call_log.open()
        await answering


@contextmanager
def _ignoring_server_end(work: asyncio.Task[None]) -> Iterator[None]:
    """Ignores the cancellation of a stream that the server ends. If the caller leaves, the call's own task is
    cancelled, and the cancellation is raised."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not work.cancelled() or (task and task.cancelling()):
            raise


def _tolerant(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Returns a deserializer that gives `_Undecodable` for invalid bytes. The library alone would end the call with
    UNKNOWN."""
    if deserializer is None:
        return None

    def deserialize(data: bytes) -> Any:  # noqa: ANN401
        try:
            return deserializer(data)
        except (DecodeError, ValueError):
            return _Undecodable()

    return deserialize
