"""Counts the calls that gRPC's library refuses by itself, before a handler of ours runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from latimer_server.core.errors import OverloadBound
from latimer_server.core.telemetry import Telemetry


class LibraryRefusals(grpc.ServerInterceptor):
    """Sees every call before its handler. Refuses none.

    The library answers UNIMPLEMENTED for methods that the server does not have, and RESOURCE_EXHAUSTED for calls beyond
    `maximum_concurrent_rpcs`. What its core refuses (metadata that is too large, floods of resets) is seen by no
    public interface and is not counted.

    `is_full`: returns True if the library refuses further calls.
    """

    def __init__(self, telemetry: Telemetry, is_full: Callable[[], bool]) -> None:
        self._telemetry = telemetry
        self._is_full = is_full

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the handler of a call, and counts the call if the library refuses it."""
        handler = continuation(handler_call_details)
        if handler is None:
            self._count("", "UNIMPLEMENTED")
        elif self._is_full():
            self._count(handler_call_details.method, "RESOURCE_EXHAUSTED")
            self._telemetry.note_refusal("OVERLOADED", OverloadBound.CALLS)
        return handler

    def _count(self, path: str, code: str) -> None:
        self._telemetry.note_call_start(path)
        self._telemetry.note_call_end(path, code, None)
