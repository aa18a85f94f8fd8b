"""Handles one call: credentials, message, behaviour, status, log line.

A call runs in a thread of gRPC's server. All methods are registered as streams of requests: of those gRPC reads no
message by itself, so that the message of a caller without credentials is never received.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from latimer_server.core.access import Scope
from latimer_server.core.errors import InvalidRequest, Unavailable, Violation
from latimer_server.core.telemetry import NoTelemetry, Telemetry, current_load_wait, current_trace
from latimer_server.observability.log_format import request_id
from latimer_server.rpc.auth import Authenticator, read_certificate
from latimer_server.rpc.call import (
    Call,
    check_authorization,
    read_deadline,
    read_metadata,
    read_request_id,
    read_trace_id,
)
from latimer_server.rpc.call_access import CallAccess
from latimer_server.rpc.call_status import CallStatus
from latimer_server.rpc.loop_bridge import CallEnded
from latimer_server.rpc.metadata_bounds import check_metadata
from latimer_server.rpc.quotas.local_store import LocalStore
from latimer_server.rpc.quotas.meter import QuotaMeter
from latimer_server.rpc.refusal_pace import RefusalPace
from latimer_server.rpc.servicers.request_bounds import check_bounds
from latimer_server.rpc.servicers.wire_fields import check_field_counts

# Messages of more bytes are parsed one at a time for each method.
_LARGE_BYTES = 256 << 10
_RUNTIME_EXITS = (KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(frozen=True)
class Method:
    """A method of a service.

    `path`: as on the wire, `/package.Service/Method`. `parse`: the parser of its request, which raises `DecodeError` or
    `ValueError`. `needs_token`: whether callers need credentials if the server has keys. `scope`: what their key must
    open; None is open to every key. `is_logged`: whether calls are logged at INFO; others are logged at DEBUG.
    `delays_drain`: whether a draining server waits for its calls.
    `grpc_type`: unary, client_stream, server_stream or bidi_stream, as metrics name it. `request`: the descriptor of
    its request, by which fields are counted before it is parsed; None counts none.
    """

    path: str
    parse: Callable[[bytes], Message]
    streams_responses: bool = False
    needs_token: bool = True
    scope: Scope | None = None
    is_logged: bool = True
    delays_drain: bool = True
    grpc_type: str = "unary"
    request: Descriptor | None = None

    # A large message is parsed and checked while no other one is: one of small items takes fifty times its size, until
    # the check of its bounds refuses it.
    large: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def read(self, data: bytes | None) -> Any:  # noqa: ANN401 (each method has its own message)
        """Returns the message that `data` holds. Raises `InvalidRequest` if it holds none."""
        if data is None:
            raise InvalidRequest(Violation("", "the call has no request message"))
        if self.request is not None:
            check_field_counts(data, self.request)
        with self.large if len(data) > _LARGE_BYTES else nullcontext():
            return self._unpack(data)

    def _unpack(self, data: bytes) -> Message:
        try:
            message = self.parse(data)
        except (DecodeError, ValueError):
            raise InvalidRequest(Violation("", "the bytes are no message of this method")) from None
        try:
            check_bounds(message)
        except InvalidRequest as error:
            # The frames of a traceback would keep the message until the status is sent.
            del message
            raise error.with_traceback(None) from None
        return message


# A function that yields the responses of a call to its requests. None means that the call is accepted, without
# a response yet.
Behaviour = Callable[[Iterator[bytes], Call, grpc.ServicerContext], Iterator[Message | None]]


class CallHandler:
    """Creates the handlers with which gRPC serves methods.

    `begun`: the number of calls since the start of the server. `active`: of calls for which a draining server waits,
    those that have begun and whose answer is not sent yet. A slow reader takes an answer later than it is ready.
    `log_share`: the share of the calls with status OK that are logged.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        refusal_pace: RefusalPace,
        telemetry: Telemetry | None = None,
        log_share: float = 1.0,
        meter: QuotaMeter | None = None,
    ) -> None:
        self._telemetry = telemetry or NoTelemetry()
        self.log_share = log_share
        self._authenticator = authenticator
        self._meter = meter or QuotaMeter(LocalStore())
        self._refusal_pace = refusal_pace
        self._lock = threading.Lock()
        # Calls are accepted or refused one after another. A flood of refused calls otherwise fills the process with
        # threads that all wait for the interpreter's lock, and every turn of the event loop waits behind them.
        self._gate = threading.Lock()
        self._refuses = False
        self.begun = 0
        self.active = 0

    def make_handler(self, method: Method, behaviour: Behaviour) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler with which gRPC serves a method."""
        self._telemetry.add_method(method.path, method.grpc_type)

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Message]:
            self._count(method, context)
            status = CallStatus(
                context, method.path, self._telemetry, is_logged=method.is_logged, log_share=self.log_share
            )
            call = self._accept(method, status)
            try:
                self._refusal_pace.repeat_refusal(call)
                for response in _meter(call, behaviour(requests, call, context)):
                    status.open()
                    if response is not None:
                        yield response
            except _RUNTIME_EXITS:
                status.log_cut()
                raise
            except BaseException as error:  # noqa: BLE001 (every failure becomes a status, a Rust panic too)
                self._refusal_pace.hold_back(error, call, context)
                status.fail(error)
            if method.needs_token:
                self._refusal_pace.note_answer(call.caller)
            status.succeed()

        def unary(requests: Iterator[bytes], context: grpc.ServicerContext) -> Message:
            (response,) = stream(requests, context)
            return response

        if method.streams_responses:
            return grpc.stream_stream_rpc_method_handler(stream, None, _serialize)
        return grpc.stream_unary_rpc_method_handler(unary, None, _serialize)

    def refuse_calls(self) -> None:
        """Refuses new calls with UNAVAILABLE, except health checks. Calls that have begun go on."""
        self._refuses = True

    def _count(self, method: Method, context: grpc.ServicerContext) -> None:
        self._telemetry.note_call_start(method.path)
        with self._lock:
            self.begun += 1
            self.active += method.delays_drain
        if method.delays_drain and not context.add_callback(self._note_end):
            self._note_end()

    def _note_end(self) -> None:
        with self._lock:
            self.active -= 1

    def _accept(self, method: Method, status: CallStatus) -> Call:
        with self._gate:
            try:
                return self._begin(method, status)
            except BaseException as error:  # noqa: BLE001 (every failure becomes a status)
                status.fail(error)

    def _begin(self, method: Method, status: CallStatus) -> Call:
        context = status.context
        # Under overload a call may wait for its thread and the gate until its deadline.
        if not context.is_active():
            raise CallEnded
        metadata = read_metadata(context)
        status.request_id = read_request_id(metadata)
        request_id.set(status.request_id)
        check_metadata(context)
        check_authorization(context)
        peer = context.peer()
        authenticator = self._authenticator
        certificate = read_certificate(context) if authenticator.needs_certificates else None
        access = CallAccess(authenticator, peer, metadata, certificate, method.scope)
        status.principal = access.open() if method.needs_token else access.open_to_all()
        access.require_scope()
        if self._refuses and method.needs_token:
            raise Unavailable("the server is shutting down")
        record = status.record
        record.trace_id = read_trace_id(metadata)
        # Strangers without credentials must not fill the collector of traces, so spans begin here.
        record.trace = self._telemetry.begin_trace(method.path, metadata) if method.is_logged else None
        if record.trace is not None:
            record.trace_id = record.trace.trace_id
        current_trace.set(record.trace)
        current_load_wait.set(record.load_wait)
        status.log_begin()
        # Health checks are free: a key without quota left must not look like a server that is down.
        status.quota = self._meter.make_use(access) if method.needs_token else None
        deadline = read_deadline(context)
        return Call(method.path, status.request_id, status.principal, deadline, record, status.quota, access)


def _meter(call: Call, responses: Iterator[Message | None]) -> Iterator[Message | None]:
    """Yields the responses of a call, for which its key has a request and a place among the calls in work.

    This comes after the gate of calls, since the store of quotas may be another process.
    """
    if call.quota is None:
        yield from responses
        return
    try:
        call.quota.begin()
        yield from responses
    finally:
        call.quota.end()


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
