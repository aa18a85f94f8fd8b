"""What happens around every call: its id, who may call, and how an exception becomes a status.

Knows gRPC and the error table; nothing of what the calls do.
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
from latimer_server.rpc.caller_identity import caller, identify_caller
from latimer_server.rpc.error_status import is_expected, to_status

_log = logging.getLogger(__name__)

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{1,64}")
# A name for the log, no secret: the system's random numbers would let the interpreter go, which batches then have.
_draw = random.Random().getrandbits
_RETRY_PUSHBACK_MS = "1000"
# Callable by anybody: whoever watches the container has no credentials.
_OPEN_SERVICES = ("/grpc.health.v1.Health/",)
_OWN_SERVICES = "/latimer."
_LAST_WORDS_SECONDS = 0.2
# So long nobody is accepted when nobody waits for it, even where a turn of the loop takes as long.
_QUIET_SECONDS = 0.05

_CODES = {int(code.value[0]): code for code in grpc.StatusCode}

# How the runtime ends a call or the process; no failures.
_NOT_OURS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]
Handler = Any  # grpc.RpcMethodHandler, whose four behaviours the library leaves untyped
Context = grpc.aio.ServicerContext[Any, Any]


class _Undecodable:
    """Stands for a message whose bytes are no message of ours."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Gives each call its id, checks its credentials, maps its exceptions and logs how it ended."""

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self._tokens = tuple(token.encode() for token in tokens)
        # By the methods' names: what the library gave, and what stands for it.
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()
        self._begun = 0  # calls, since the server did

    async def end_watchers(self) -> None:
        """Ends what else ends only when its caller leaves. Our own streams are given nothing more, and end when they
        have answered what they were given. Those of the standard services are ended; what they have to say of
        the end they may say first."""
        self._draining.set()
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=_LAST_WORDS_SECONDS)
        for watcher in self._watchers:
            watcher.cancel()

    async def wait_for_last(self, most: float) -> None:
        """Waits until no call has begun for a moment, `most` seconds at the longest."""
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
        """Wraps the handler of a method; once, as it is the same for all calls."""
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
            except _NOT_OURS:
                call_log.log_cut()
                raise
            except BaseException as error:  # noqa: BLE001 (every failure becomes a status, a Rust panic too)
                await call_log.fail(error)
            call_log.log("OK")
            return response

        return call

    def _around_stream(self, behaviour: Any, method: str) -> Any:  # noqa: ANN401
        is_own = method.startswith(_OWN_SERVICES)

        async def call(request: Any, context: Context) -> None:  # noqa: ANN401
            given = _read_metadata(context)
            call_log = _begin(context, method, given)
            asked: AsyncGenerator[Any, None] | None = None
            try:
                self._check(request, method, given, context)
                if isinstance(request, AsyncIterable):
                    asked = request = _read_each(request, self._draining if is_own else None)
                work = asyncio.ensure_future(_answer(behaviour(request, context), context, call_log))
                if not is_own:
                    self._watchers.add(work)
                    work.add_done_callback(self._watchers.discard)
                with _ignoring_server_end(work):
                    await work
            except _NOT_OURS:
                call_log.log_cut()
                raise
            except BaseException as error:  # noqa: BLE001 (as above)
                await call_log.fail(error)
            finally:
                if asked is not None:
                    await asked.aclose()
            call_log.log("OK")

        return call

    def _check(self, request: object, method: str, given: Mapping[str, object], context: Context) -> None:
        peer = context.peer()
        caller.set(identify_caller(peer))
        if self._tokens and not method.startswith(_OPEN_SERVICES):
            offered = str(given.get("authorization", "")).removeprefix("Bearer ").encode()
            # Every token is compared, in constant time, so that an answer's delay tells nothing.
            if not any([hmac.compare_digest(offered, token) for token in self._tokens]):  # noqa: C419
                raise Unauthenticated("the call needs metadata `authorization: Bearer TOKEN` with a token we know")
            caller.set(identify_caller(peer, offered))
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
    """How one call ends: its status on the wire and its line in the log."""

    def __init__(self, context: Context, method: str, identifier: str) -> None:
        self._context = context
        self._method = method
        self._identifier = identifier
        self._began = time.monotonic()
        self._opened = False

    async def open(self) -> None:
        """Sends what every call is told of itself, before its first message."""
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
        # A client may try again only what has not begun: initial metadata would be the beginning (gRFC A6).
        # One that is refused for want of room is told so in one go: there is most to do just then.
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
        """The line of a call that its caller, its deadline or the end of the server cut off."""
        remaining = self._context.time_remaining()
        self.log("DEADLINE_EXCEEDED" if remaining is not None and remaining <= 0 else "CANCELLED")

    def log(self, code: str, reason: str = "") -> None:
        """One line a call; health checks only when the log is verbose."""
        level = logging.DEBUG if self._method.startswith(_OPEN_SERVICES) else logging.INFO
        if not _log.isEnabledFor(level):
            return
        milliseconds = round(1_000 * (time.monotonic() - self._began), 1)
        extra = {"method": self._method, "code": code, "milliseconds": milliseconds}
        _log.log(level, "call", extra=extra | ({"reason": reason} if reason else {}))


def _forget_trace_of(error: grpc.aio.AbortError) -> None:
    """Once the library has seen how a call ended, in the next turn. It keeps that with the call, and the frames of the
    trace keep the call: such circles are freed only by garbage collections, which stop everything for milliseconds."""

    def forget() -> None:
        error.__traceback__ = error.__context__ = None

    asyncio.get_running_loop().call_soon(forget)


def _undecodable_error() -> InvalidRequest:
    return InvalidRequest(Violation("", "the bytes are no message of this method"))


async def _read_each(requests: AsyncIterable[Any], draining: asyncio.Event | None) -> AsyncGenerator[Any, None]:
    """The messages of a stream. Raises at one whose bytes were none, and where it would wait for one when the server
    drains."""
    messages = aiter(requests)
    over = asyncio.ensure_future((draining or asyncio.Event()).wait())
    try:
        while True:
            read = asyncio.ensure_future(anext(messages, None))
            try:
                await asyncio.wait((read, over), return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    raise Unavailable("the server is shutting down; what has no answer yet can be sent again")
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
    """Sends what a stream has to say. The library takes both: a generator, and a coroutine that writes for
    itself (health's Watch)."""
    if isinstance(answering, AsyncIterator):
        try:
            async for response in answering:
                await call_log.open()
                # None: the stream is accepted, and has nothing to say yet.
                if response is not None:
                    await context.write(response)
        finally:
            # At once, so that what it holds is free when the call is over.
            if isinstance(answering, AsyncGenerator):
                await answering.aclose()
    else:
        await call_log.open()
        await answering


@contextmanager
def _ignoring_server_end(work: asyncio.Task[None]) -> Iterator[None]:
    """A stream that the server ends is no failure; one whose caller leaves is cancelled with its call."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not work.cancelled() or (task and task.cancelling()):
            raise


def _tolerant(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """A deserializer that gives `_Undecodable` where the library alone would end the call with UNKNOWN."""
    if deserializer is None:
        return None

    def deserialize(data: bytes) -> Any:  # noqa: ANN401
        try:
            return deserializer(data)
        except (DecodeError, ValueError):
            return _Undecodable()

    return deserialize
