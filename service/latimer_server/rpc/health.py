"""Health of the server and its services (grpc.health.v1), for probes and balancers.

A watcher that reads nothing blocks only its own thread: statuses are values under a condition, and every watcher writes
in the thread of its own call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from latimer_server.core.errors import InvalidRequest, LatimerError, Overloaded, Violation
from latimer_server.rpc.call import Call
from latimer_server.rpc.call_limits import ConcurrencyLimit

_UNKNOWN: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
_SERVING: int = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: int = health_pb2.HealthCheckResponse.NOT_SERVING
_MAX_NAME_CHARACTERS = 200
# The name under which the health of the process is asked for; other names are those of services and models.
LIVENESS = "liveness"
# The protocol lets a server refuse long lists.
_MAX_LISTED = 1_000
_RETRY_SECONDS = 60.0


class UnknownService(LatimerError):
    """The health of a service that the server does not have."""

    reason = "UNKNOWN_SERVICE"


class HealthServicer:
    """Answers `Check`, `List` and `Watch` from the statuses that `set` was given."""

    def __init__(self, max_watches: int) -> None:
        self._statuses: dict[str, int] = {}
        self._changed = threading.Condition()
        self._watches = ConcurrencyLimit("open health watches", max_watches, share=0.5)
        self._draining = False

    def set(self, service: str, status: int) -> None:
        """Sets the status of a service; has no effect once the server drains."""
        with self._changed:
            if not self._draining and self._statuses.get(service) != status:
                self._statuses[service] = status
                self._changed.notify_all()

    def is_serving(self, service: str) -> bool:
        """Returns True if the status of a service is SERVING."""
        with self._changed:
            return self._statuses.get(service) == _SERVING

    def drain(self) -> None:
        """Sets every status to NOT_SERVING for good, but that of `LIVENESS`, and ends the watches."""
        with self._changed:
            alive = self._statuses.get(LIVENESS)
            self._statuses = dict.fromkeys(self._statuses, _NOT_SERVING)
            if alive is not None:
                self._statuses[LIVENESS] = alive  # or an orchestrator would kill a server that drains
            self._draining = True
            self._changed.notify_all()

    def Check(  # noqa: N802 (the protocol's name)
        self, request: health_pb2.HealthCheckRequest, call: Call, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        """Yields the status of a service. Raises `UnknownService`."""
        _check_name(request.service)
        with self._changed:
            status = self._statuses.get(request.service)
        if status is None:
            raise UnknownService("the server has no such service")
        yield _make_response(status)

    def List(  # noqa: N802
        self, request: Message, call: Call, context: grpc.ServicerContext
    ) -> Iterator[Message]:
        """Yields the statuses of all services. Raises `Overloaded` if there are more than 1,000."""
        with self._changed:
            statuses = list(self._statuses.items())
        if len(statuses) > _MAX_LISTED:
            rule = f"the server has {len(statuses)} services; at most {_MAX_LISTED} are listed, use Check"
            raise Overloaded(rule, _RETRY_SECONDS)
        response = _make_list_response()
        for name, status in statuses:
            response.statuses[name].status = status
        yield response

    def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, call: Call, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        """Yields the status of a service, and again at each change. Raises `Overloaded` beyond the bound on watches."""
        _check_name(request.service)
        with self._watches.hold(call.caller):
            context.add_callback(self._wake)
            last: int | None = None
            while context.is_active() and (status := self._wait_for_change(request.service, last, context)) is not None:
                last = status
                yield _make_response(status)

    def _wait_for_change(self, service: str, last: int | None, context: grpc.ServicerContext) -> int | None:
        """Returns the next status that differs from `last`; None when the call or the server ends."""
        with self._changed:
            while (status := self._statuses.get(service, _UNKNOWN)) == last:
                if self._draining or not context.is_active():
                    return None
                self._changed.wait()
            return status

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _check_name(service: str) -> None:
    size = len(service)
    if size > _MAX_NAME_CHARACTERS:
        rule = f"has {size} code points; at most {_MAX_NAME_CHARACTERS} are allowed"
        raise InvalidRequest(Violation("service", rule))


def _make_response(status: int) -> health_pb2.HealthCheckResponse:
    response = health_pb2.HealthCheckResponse()
    response.status = cast(Any, status)
    return response


def _make_list_response() -> Any:  # noqa: ANN401 (the stubs of grpc_health lack this message)
    return cast(Any, health_pb2).HealthListResponse()
