"""Accepts a call in each turn of the event loop, while `grpc.aio` accepts one in several turns.

Uses private functions of `grpc.aio`. If they differ from the expected ones, the library's own loop is used alone.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # private: not in the stubs

_log = logging.getLogger(__name__)

# Requests for calls of one method, besides the one of the library. Under overload more requests refuse calls sooner,
# and make health checks wait longer.
AT_ONCE = 1
# The private functions in use and their expected parameters. Other parameters mean an unknown version.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "_handle_rpc": ("method_name", "method_resolver", "interceptors", "rpc_state", "loop", "concurrency_exceeded"),
    "_schedule_rpc_coro": ("rpc_coro", "rpc_state", "loop", "method_name"),
    "AioServer._request_registered_call": ("self", "method"),
    "AioServer.is_running": ("self",),
}


class AcceptingServer(grpc.aio.Server):
    """A server that requests more calls from gRPC's core than the library does, which requests one call of each method.

    The library's loop (`AioServer._server_main_loop`) requests the next call of a method three turns after it received
    one. Under load a turn takes milliseconds, so calls wait long to be accepted or refused, and beyond a bound the core
    cancels them. A call that is accepted here is handled as the library handles it.
    """

    def __init__(self, server: grpc.aio.Server, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> None:
        """Wraps `server`, which has these interceptors and no services yet. The library's own bound on concurrent calls
        must be unset: it would not count the calls that are accepted here."""
        self._server = server
        self._core: Any = getattr(server, "_server", None)
        self._interceptors = tuple(interceptors)
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}  # by the methods' full names
        self._tasks: set[asyncio.Task[None]] = set()

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Registers generic handlers, as the library does."""
        self._server.add_generic_rpc_handlers(tuple(generic_rpc_handlers))

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Registers methods as the library does, and requests more calls of them."""
        self._server.add_registered_method_handlers(service_name, dict(method_handlers))
        self._handlers |= {f"/{service_name}/{method}": handler for method, handler in method_handlers.items()}

    def add_insecure_port(self, address: str) -> int:
        """Binds a plaintext port, as the library does."""
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Binds a TLS port, as the library does."""
        return self._server.add_secure_port(address, server_credentials)

    async def start(self) -> None:
        """Starts the server. With an unknown version of the library only the library's own loop accepts calls."""
        await self._server.start()
        if self._core is None or not is_known(cygrpc):
            extra = {"version": grpc.__version__}
            _log.warning(
                "calls are accepted more slowly: the private functions of this grpcio version are not known",
                extra=extra,
            )
            return
        for method in self._handlers:
            for _ in range(AT_ONCE):
                self._keep(self._accept(method))

    async def stop(self, grace: float | None) -> None:
        """Stops the server, as the library does."""
        await self._server.stop(grace)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 (the library's)
        """Waits for the end of the server, as the library does."""
        return await self._server.wait_for_termination(timeout)

    def resolve_handler(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the handler of a call that was accepted here. The library calls this."""
        return self._handlers.get(str(details.method))

    async def _accept(self, method: str) -> None:
        """Accepts calls of a method, one after another, until the server stops."""
        loop = asyncio.get_running_loop()
        try:
            while self._core.is_running():
                try:
                    state = await self._core._request_registered_call(method.encode())
                except cygrpc._RequestCallError:
                    continue  # The caller has left, or the server stops.
                call = cygrpc._handle_rpc(method, self, self._interceptors, state, loop, False)  # noqa: FBT003
                self._keep(cygrpc._schedule_rpc_coro(call, state, loop, method))
                del state, call  # They hold the caller's message, and the next call may take long to come.
        except Exception:  # noqa: BLE001 (the library's own loop continues)
            _log.exception("calls are accepted more slowly from now on", extra={"method": method})

    def _keep(self, work: Any) -> None:  # noqa: ANN401
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def is_known(library: object) -> bool:
    """Returns True if the library has all private functions in use, with the expected parameters."""
    known = all(_list_parameters(library, path) == parameters for path, parameters in _NEEDED.items())
    return known and hasattr(library, "_RequestCallError")


def _list_parameters(library: object, path: str) -> tuple[str, ...]:
    """Returns the parameter names of a function or method; empty if it does not exist or has no signature."""
    try:
        return tuple(inspect.signature(attrgetter(path)(library)).parameters)
    except (AttributeError, TypeError, ValueError):
        return ()
