"""Registers the services with gRPC: ours, health and reflection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from latimer_server.core.access import Scope
from latimer_server.rpc.behaviours import Behaviours
from latimer_server.rpc.call_handler import CallHandler, Method
from latimer_server.rpc.health import HealthServicer

_HEALTH = cast(ServiceDescriptor, health_pb2.DESCRIPTOR.services_by_name["Health"])
_REFLECTION = cast(ServiceDescriptor, reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"])
# By whether requests and responses are streams; the names are those of go-grpc-prometheus.
_GRPC_TYPES = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}


class ServiceRegistry:
    """Serves the methods of services by the methods of servicers that have the same names."""

    def __init__(self, server: grpc.Server, calls: CallHandler, behaviours: Behaviours) -> None:
        self._server = server
        self._calls = calls
        self._behaviours = behaviours

    def add_servicer(
        self, service: ServiceDescriptor, servicer: object, scopes: Mapping[str, Scope | None] | Scope
    ) -> None:
        """Serves one of our services: its methods run on the event loop. `scopes`: the scope that a key needs, for all
        methods or by the name of each; None is open to every key."""
        handlers = {}
        for descriptor in service.methods:
            scope = scopes if isinstance(scopes, Scope) else scopes[descriptor.name]
            method = _describe(descriptor, scope=scope)
            run = getattr(servicer, descriptor.name)
            choose = self._behaviours.stream_on_loop if descriptor.client_streaming else self._behaviours.on_loop
            handlers[descriptor.name] = self._calls.make_handler(method, choose(method, run))
        self._register(service, handlers)

    def add_health(self, servicer: HealthServicer) -> None:
        """Serves grpc.health.v1 to every caller: probes have no credentials."""
        handlers = {}
        for descriptor in _HEALTH.methods:
            method = _describe(descriptor, needs_token=False, is_logged=False, delays_drain=False)
            behaviour = self._behaviours.in_thread(method, getattr(servicer, descriptor.name))
            handlers[descriptor.name] = self._calls.make_handler(method, behaviour)
        self._register(_HEALTH, handlers)

    def add_reflection(self, names: Sequence[str]) -> None:
        """Serves grpc.reflection.v1alpha for these services."""
        servicer = reflection.ReflectionServicer((*names, reflection.SERVICE_NAME))
        handlers = {}
        for descriptor in _REFLECTION.methods:
            method = _describe(descriptor, delays_drain=False)
            behaviour = self._behaviours.reflect(method, servicer.ServerReflectionInfo)
            handlers[descriptor.name] = self._calls.make_handler(method, behaviour)
        self._register(_REFLECTION, handlers)

    def _register(self, service: ServiceDescriptor, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        self._server.add_registered_method_handlers(service.full_name, handlers)


def _describe(
    method: MethodDescriptor,
    *,
    needs_token: bool = True,
    scope: Scope | None = None,
    is_logged: bool = True,
    delays_drain: bool = True,
) -> Method:
    return Method(
        f"/{method.containing_service.full_name}/{method.name}",
        GetMessageClass(method.input_type).FromString,
        method.server_streaming,
        needs_token,
        scope,
        is_logged,
        delays_drain,
        _GRPC_TYPES[method.client_streaming, method.server_streaming],
        method.input_type,
    )
