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

from latimer_server.core.access import Standing
from latimer_server.core.errors import InvalidRequest, LatimerError, OverloadBound, Overloaded, Violation
from latimer_server.rpc.call import Call
from latimer_server.rpc.shared_places import SharedPlaces, find_owner

_UNKNOWN: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
_SERVING: int = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: int = health_pb2.HealthCheckResponse.NOT_SERVING
_MAX_NAME_CHARACTERS = 200
# The name under which the health of the process is asked for; other names are those of services and models.
LIVENESS = "liveness"
# The protocol lets a server refuse long lists.
_MAX_LISTED = 1_000
_RETRY_SECONDS = 60.0
_DISPLACED_RULE = "the watch gave its place to a newer one; all {most} places for health watches are held"
_DISPLACED_RETRY_SECONDS = 1.0
_WATCHES = "health watches", "raise max_watches, or use Check", OverloadBound.WATCHES
_MODEL_PREFIX = "model:"
# Bounds on the wait of a watch before it looks at its credentials again.
_LEAST_WAIT_SECONDS = 0.01
_MOST_WAIT_SECONDS = 60.0


class UnknownService(LatimerError):
    """The health of a service that the server does not have."""

    reason = "UNKNOWN_SERVICE"


class _Watch:
    """An open call of `Watch`, which may lose its place. `changed` guards it.

    `waits`: whether its thread waits for a change. Otherwise the thread may be held by a client that reads nothing.
    """

    def __init__(self, context: grpc.ServicerContext, changed: threading.Condition) -> None:
        self.waits = False
        self.is_displaced = False
        self._context = context
        self._changed = changed

    def cancel(self) -> None:
        """Ends the call: with a status if its thread can send one, else without."""
        with self._changed:
            self.is_displaced = True
            if self.waits:
                self._changed.notify_all()
                return
        self._context.cancel()


class HealthServicer:
    """Answers `Check`, `List` and `Watch` from the statuses that `set` was given.

    `max_watches`: open watches of callers with credentials, and as many of callers without; see `SharedPlaces`. So no
    stranger can keep out gRPC clients with health checking, which send no credentials with their watch. A connection
    without credentials has at most half of the places.
    """

    def __init__(self, max_watches: int) -> None:
        self._statuses: dict[str, int] = {}
        self._changed = threading.Condition()
        self._max_watches = max_watches
        self._watches = SharedPlaces(max_watches, max(1, max_watches // 2), *_WATCHES)
        # One more than there are places, so that a connection that holds all of them replaces its oldest watch.
        self._proven_watches = SharedPlaces(max_watches, max_watches + 1, *_WATCHES)
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
        """Yields the statuses of all services; for strangers without those of models. Raises `Overloaded` if there are
        more than 1,000."""
        is_stranger = call.principal.standing is Standing.STRANGER
        with self._changed:
            statuses = [
                (name, status)
                for name, status in self._statuses.items()
                if not (is_stranger and name.startswith(_MODEL_PREFIX))
            ]
        if len(statuses) > _MAX_LISTED:
            rule = f"the server has {len(statuses)} services; at most {_MAX_LISTED} are listed, use Check"
            raise Overloaded(rule, _RETRY_SECONDS, OverloadBound.LISTED)
        response = _make_list_response()
        for name, status in statuses:
            response.statuses[name].status = status
        yield response

    def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, call: Call, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        """Yields the status of a service, and again at each change.

        Raises `Overloaded` beyond the bound on watches, and if the watch loses its place. A watch that began with
        valid credentials holds a place of those, so it raises `Unauthenticated` when they end.
        """
        _check_name(request.service)
        watch = _Watch(context, self._changed)
        is_proven = call.principal.standing is Standing.PROVEN
        places = self._proven_watches if is_proven else self._watches
        with places.hold(*find_owner(call, context), watch):
            context.add_callback(self.wake)
            last: int | None = None
            while context.is_active() and (
                (status := self._wait_for_change(request.service, last, watch, call, context)) is not None
            ):
                last = status
                yield _make_response(status)

    def _wait_for_change(
        self, service: str, last: int | None, watch: _Watch, call: Call, context: grpc.ServicerContext
    ) -> int | None:
        """Returns the next status that differs from `last`; None when the call or the server ends. Raises `Overloaded`
        if the watch has lost its place."""
        with self._changed:
            watch.waits = True
            try:
                while True:
                    call.renew_access()
                    status = self._statuses.get(service, _UNKNOWN)
                    if status != last or watch.is_displaced:
                        break
                    if self._draining or not context.is_active():
                        return None
                    # The access ends by the wall clock, which may be set meanwhile.
                    self._changed.wait(min(max(call.access_seconds_left, _LEAST_WAIT_SECONDS), _MOST_WAIT_SECONDS))
            finally:
                watch.waits = False
            if watch.is_displaced:
                raise Overloaded(
                    _DISPLACED_RULE.format(most=self._max_watches), _DISPLACED_RETRY_SECONDS, OverloadBound.WATCHES
                )
            return status

    def wake(self) -> None:
        """Lets each watch see whether its call is over or its credentials have changed."""
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
