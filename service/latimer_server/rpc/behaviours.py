"""Runs the methods of servicers: on the event loop, or in the thread of the call."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from latimer_server.core.errors import OverloadBound
from latimer_server.rpc.call import Call
from latimer_server.rpc.call_handler import Behaviour, Method
from latimer_server.rpc.call_limits import CallLimits, ConcurrencyLimit, DisplacingLimit
from latimer_server.rpc.loop_bridge import CallScope
from latimer_server.rpc.request_stream import read_messages, read_next
from latimer_server.rpc.shared_places import SharedPlaces, find_owner

# A method with one response: called in the thread of the call, where it may validate its request; its coroutine runs on
# the loop.
LoopMethod = Callable[[Any, Call], Coroutine[Any, Any, Message]]
LoopStreamMethod = Callable[[AsyncIterator[Any], Call], AsyncIterator[Message | None]]
ThreadMethod = Callable[[Any, Call, grpc.ServicerContext], Iterator[Message]]
_ARRIVAL_RULE = "this caller has {held} messages that are arriving, which is its limit"
_UNREAD_RULE = "this caller has not read {held} answers, which is its limit"
_ANSWER_RULE = "this caller has not read {held} bytes of answers; at most {most} are kept for it"
_QUOTA_THREADS = 8
_REFLECTIONS = "reflection streams", "close those that ask nothing, or try again later", OverloadBound.REFLECTIONS


@dataclass(frozen=True, eq=False, slots=True)
class _Arrival:
    """A call whose message is arriving. `begin`, `end`: readings of the monotonic clock, `end` that of its time limit.
    `delays_drain`: whether a draining server waits for the call."""

    begin: float
    end: float
    context: grpc.ServicerContext
    delays_drain: bool


class Behaviours:
    """Turns methods of servicers into behaviours of calls, within the limits of the front."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: CallLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._arrivals: dict[int, _Arrival] = {}
        self._scopes: set[CallScope] = set()
        self._receiving = DisplacingLimit(
            _ARRIVAL_RULE, limits.receiving, limits.receiving // 2, OverloadBound.ARRIVING
        )
        # One more than there are places, so that a new probe displaces an old one instead of being refused.
        self._probes = DisplacingLimit(_ARRIVAL_RULE, limits.probes, limits.probes + 1, OverloadBound.ARRIVING)
        self._unread = DisplacingLimit(_UNREAD_RULE, limits.answers, limits.answers // 4, OverloadBound.UNREAD_ANSWERS)
        self._answers = DisplacingLimit(
            _ANSWER_RULE, limits.answer_bytes, limits.answer_bytes // 4, OverloadBound.UNREAD_BYTES
        )
        self._reflections = SharedPlaces(limits.reflections, max(1, limits.reflections // 2), *_REFLECTIONS)
        self.streams = ConcurrencyLimit("open streams", limits.streams, 0.25, OverloadBound.STREAMS)
        # A store of quotas in another process must not hold up the event loop.
        self._quota_threads = ThreadPoolExecutor(_QUOTA_THREADS, "quota")
        # Set when the server drains: streams then read no further.
        self.draining = asyncio.Event()

    def on_loop(self, method: Method, run: LoopMethod) -> Behaviour:
        """Runs a method with one request and one response."""

        def behaviour(requests: Iterator[bytes], call: Call, context: grpc.ServicerContext) -> Iterator[Message]:
            for limit in (self._unread, self._answers):
                limit.require_room(call.caller)
            with self._open_scope(context) as scope:
                answer = scope.run(run(self._receive(method, requests, call, context), call))
            self._unread.hold_until_end(call.caller, context, 1)
            self._answers.hold_until_end(call.caller, context, answer.ByteSize())
            yield answer

        return behaviour

    def stream_on_loop(self, method: Method, run: LoopStreamMethod) -> Behaviour:
        """Runs a method with streams of requests and responses."""

        def behaviour(requests: Iterator[bytes], call: Call, context: grpc.ServicerContext) -> Iterator[Message | None]:
            with self._open_scope(context) as scope, self.streams.hold(call.caller):
                messages = read_messages(
                    requests,
                    method.read,
                    self.draining,
                    self._limits.stream_config_seconds,
                    self._limits.stream_idle_seconds,
                )
                messages = self._admit_each(messages, call)
                yield from scope.iterate(_close_after(run(messages, call), messages))

        return behaviour

    def in_thread(self, method: Method, run: ThreadMethod) -> Behaviour:
        """Runs a method with one request, which does little or only waits, in the thread of the call."""

        def behaviour(requests: Iterator[bytes], call: Call, context: grpc.ServicerContext) -> Iterator[Message]:
            yield from run(self._receive(method, requests, call, context), call, context)

        return behaviour

    def reflect(
        self, method: Method, run: Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Message]]
    ) -> Behaviour:
        """Runs server reflection, whose streams clients keep open between their questions.

        A stream that loses its place to another caller's ends with CANCELLED.
        """

        def behaviour(requests: Iterator[bytes], call: Call, context: grpc.ServicerContext) -> Iterator[Message]:
            with self._reflections.hold(*find_owner(call, context), context):
                for number in itertools.count():
                    with self._arriving(method, context, self._limits.stream_idle_seconds):
                        data = read_next(requests)
                    if data is None:
                        return
                    call.renew_access()
                    # The call is the request of the first question. Each costs as much as a call.
                    if number and call.quota:
                        call.quota.count_question()
                    yield from run(iter((method.read(data),)), context)

        return behaviour

    async def _admit_each(self, messages: AsyncGenerator[Message, None], call: Call) -> AsyncGenerator[Message, None]:
        """Yields the messages of a stream. Each needs the access that a new call needs, and is charged first."""
        quota = call.quota
        async with aclosing(messages):
            async for message in messages:
                call.renew_access()
                if quota is None:
                    yield message
                    continue
                for part in quota.divide(message):
                    if quota.is_remote:
                        await self._loop.run_in_executor(self._quota_threads, quota.charge, part)
                    else:
                        quota.charge(part)
                    yield part

    def expire(self) -> None:
        """Ends the calls whose message has been arriving for too long. The server calls this once a second."""
        now = time.monotonic()
        for arrival in list(self._arrivals.values()):
            if arrival.end < now:
                arrival.context.cancel()

    def count_silent(self, seconds: float) -> int:
        """Returns the number of calls that delay a drain and whose message has been arriving for `seconds` or more."""
        begun = time.monotonic() - seconds
        return sum(arrival.delays_drain and arrival.begin <= begun for arrival in list(self._arrivals.values()))

    def cut(self) -> None:
        """Ends the calls in work with UNAVAILABLE. Called on the event loop at the end of a drain."""
        for scope in list(self._scopes):
            scope.cut()

    def _receive(self, method: Method, requests: Iterator[bytes], call: Call, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 (each method has its own message)
        limit = self._receiving if method.needs_token else self._probes
        with limit.hold(call.caller, context), self._arriving(method, context, self._limits.receive_seconds):
            data = read_next(requests)
        call.renew_access()
        message = method.read(data)
        if call.quota:
            call.quota.charge(message)
        return message

    @contextmanager
    def _arriving(self, method: Method, context: grpc.ServicerContext, seconds: float) -> Iterator[None]:
        """Lets `expire` end the call if its message does not arrive within `seconds`."""
        now = time.monotonic()
        self._arrivals[id(context)] = _Arrival(now, now + seconds, context, method.delays_drain)
        try:
            yield
        finally:
            del self._arrivals[id(context)]

    @contextmanager
    def _open_scope(self, context: grpc.ServicerContext) -> Iterator[CallScope]:
        """Lets `cut` end the work of a call."""
        scope = CallScope(self._loop, context)
        self._scopes.add(scope)
        try:
            yield scope
        finally:
            self._scopes.discard(scope)


async def _close_after(
    responses: AsyncIterator[Message | None], messages: AsyncGenerator[Any, None]
) -> AsyncGenerator[Message | None, None]:
    """Yields the responses, then closes both sides of the stream at once rather than when they are collected."""
    try:
        async for response in responses:
            yield response
    finally:
        if isinstance(responses, AsyncGenerator):
            await responses.aclose()
        await messages.aclose()
