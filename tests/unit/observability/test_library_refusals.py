"""Calls that gRPC's library refuses by itself are counted."""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc
import pytest

from latimer_server.core.errors import REFUSAL_REASONS
from latimer_server.observability.metrics import Metrics
from latimer_server.observability.server_telemetry import ServerTelemetry
from latimer_server.rpc.library_refusals import LibraryRefusals

METHOD = "/latimer.v1.TranslationService/TranslateText"
HANDLER: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(lambda request, context: request)


class Details(NamedTuple):
    """What gRPC tells of a call before its handler."""

    method: str
    invocation_metadata: tuple[tuple[str, str], ...] = ()


class Front:
    """A front that serves one method and refuses further calls while `full`."""

    def __init__(self) -> None:
        self.full = False
        self.metrics = Metrics("1", [], REFUSAL_REASONS)
        telemetry = ServerTelemetry(self.metrics, None)
        telemetry.add_method(METHOD, "unary")
        self._refusals = LibraryRefusals(telemetry, lambda: self.full)

    def find(self, path: str) -> grpc.RpcMethodHandler[Any, Any] | None:
        known = {METHOD: HANDLER}
        details: Any = Details(path)
        return self._refusals.intercept_service(lambda details: known.get(details.method), details)

    def count(self, method: str, code: str) -> float:
        samples = [s for family in self.metrics.registry.collect() for s in family.samples]
        labels = {"grpc_method": method, "grpc_code": code}
        return sum(s.value for s in samples if labels.items() <= s.labels.items() and s.name.endswith("_total"))


@pytest.fixture
def front() -> Front:
    return Front()


def test_a_method_that_the_server_lacks_is_refused_and_counts_as_other(front: Front) -> None:
    assert front.find("/some.Service/Method") is None
    assert front.count("other", "Unimplemented") == 1


def test_a_call_beyond_the_bound_on_concurrency_counts_for_its_method(front: Front) -> None:
    front.full = True
    assert front.find(METHOD) is HANDLER  # the library refuses it afterwards
    assert front.count("TranslateText", "ResourceExhausted") == 1
    assert front.metrics.registry.get_sample_value("latimer_refused_total", {"reason": "OVERLOADED"}) == 1


def test_a_call_that_is_served_is_left_to_its_handler(front: Front) -> None:
    assert front.find(METHOD) is HANDLER
    assert front.count("TranslateText", "OK") == 0
