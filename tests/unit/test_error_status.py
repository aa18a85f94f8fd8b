"""The status of refusals: a full server and a deadline that is too short have a reason each."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from latimer_server.core.errors import REFUSAL_REASONS, Overloaded, TooLate
from latimer_server.rpc.error_status import serialize_status


def read_reason(status: bytes) -> str:
    """Returns the reason of the ErrorInfo in a serialized status."""
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(status).details[0].Unpack(info)
    return str(info.reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Overloaded("busy", 1.0), "OVERLOADED"),
        (TooLate("busy", 1.0, 500, lambda _, __, ___: None), "DEADLINE_TOO_SHORT"),
    ],
)
def test_each_kind_of_refusal_has_a_reason_of_its_own(error: Overloaded, reason: str) -> None:
    code, message, status = serialize_status(error, "id")
    assert (code, message) == (grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "busy")
    assert read_reason(status) == error.reason == reason
    assert reason in REFUSAL_REASONS
