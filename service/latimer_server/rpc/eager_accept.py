"""Accepts a call in each turn of the event loop, where `grpc.aio` accepts one in several.

Knows the inside of `grpc.aio` as far as it is used here, and goes without where that is otherwise; nothing of what the
calls do.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs have no inside

_log = logging.getLogger(__name__)

# Calls of one method that are asked for beside the library's one. Each more has calls refused sooner under twice the
# load, and health checks wait longer for their turns: with 0, 1, 2, 8 and 32 some 220, 155, 130, 110 and 100 ms at p99,
# and 28, 37, 46, 64 and 130 ms.
AT_ONCE = 1
# What we call, by its parameters: of a version that has others we know nothing.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "_handle_rpc": ("method_name", "method_resolver", "interceptors", "rpc_state", "loop", "concurrency_exceeded"),
    "_schedule_rpc_coro": ("rpc_coro", "rpc_state", "loop", "method_name"),
    "AioServer._request_registered_call": ("self", "method"),
    "AioServer.is_running": ("self",),
}


class AcceptingServer(grpc.aio.Server):
    """A server that asks the library's core for more calls than the one of each method that the library asks for.

    The library's loop (`AioServer._server_main_loop`) asks for the next call of a method three turns after it was
    given one. While many calls come a turn takes milliseconds, so that they wait to be accepted, and to be refused,
    longer than for their turn; past a thousand that wait the core ends them itself. What becomes of a call that is
    accepted here is the same.
    """

    def __init__(self, server: grpc.aio.Server, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> None:
        """`server` has these interceptors, and no services yet; nor a bound of its own on calls at once, which would
        not hold for those that are accepted here."""
        self._server = server
        self._core: Any = getattr(server, "_server", None)
        self._interceptors = tuple(interceptors)
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}  # by the methods' full names
        self._tasks: set[asyncio.Task[None]] = set()

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """As the library's."""
        self._server.add_generic_rpc_handlers(tuple(generic_rpc_handlers))

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """As the library's; of these methods more calls will be asked for."""
        self._server.add_registered_method_handlers(service_name, dict(method_handlers))
        self._handlers |= {f"/{service_name}/{method}": handler for method, handler in method_handlers.items()}

    def add_insecure_port(self, address: str) -> int:
        """As the library's."""
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """As the library's."""
        return self._server.add_secure_port(address, server_credentials)

    async def start(self) -> None:
        """As the library's. Where this version's inside is not known, calls are accepted as slowly as it does."""
        await self._server.start()
        if self._core is None or not is_known(cygrpc):
            extra = {"version": grpc.__version__}
            _log.warning("calls are accepted slowly: the inside of this grpcio is not known", extra=extra)
            return
        for method in self._handlers:
            for _ in range(AT_ONCE):
                self._keep(self._accept(method))

    async def stop(self, grace: float | None) -> None:
        """As the library's."""
        await self._server.stop(grace)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 (the library's)
        """As the library's."""
        return await self._server.wait_for_termination(timeout)

    def resolve_handler(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """What the library asks about a call that was accepted here."""
        return self._handlers.get(str(details.method))

    async def _accept(self, method: str) -> None:
        """Accepts calls of a method, one after the other, until the server stops."""
        loop = asyncio.get_running_loop()
        try:
            while self._core.is_running():
                try:
                    state = await self._core._request_registered_call(method.encode())
                except cygrpc._RequestCallError:
                    continue  # The caller had left, or the server stops.
                call = cygrpc._handle_rpc(method, self, self._interceptors, state, loop, False)  # noqa: FBT003
                self._keep(cygrpc._schedule_rpc_coro(call, state, loop, method))
                del state, call  # they hold what the caller sent, and the next may be long in coming
        except Exception:  # noqa: BLE001 (the library goes on without this)
            _log.exception("calls are accepted slowly from now on", extra={"method": method})

    def _keep(self, work: Any) -> None:  # noqa: ANN401
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def is_known(library: object) -> bool:
    """Whether what is needed of the library's inside is there, with the parameters that we know."""
    known = all(_list_parameters(library, path) == parameters for path, parameters in _NEEDED.items())
    return known and hasattr(library, "_RequestCallError")


def _list_parameters(library: object, path: str) -> tuple[str, ...]:
    """Of a function, or of a class's method; empty where there is none, or it does not tell."""
    try:
        return tuple(inspect.signature(attrgetter(path)(library)).parameters)
    except (AttributeError, TypeError, ValueError):
        return ()
