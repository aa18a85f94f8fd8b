"""Refusals of access and quotas: each has a status, a stable reason and the details that clients act upon."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from latimer_server.core.access import Quota, Scope
from latimer_server.core.errors import (
    QUOTA_REASONS,
    REFUSAL_REASONS,
    KeyExpired,
    LatimerError,
    QuotaExceeded,
    QuotaUnknown,
    ScopeMissing,
)
from latimer_server.rpc.error_status import to_status

REFUSALS = [
    (ScopeMissing(Scope.ADMIN), grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"),
    (KeyExpired("the key has expired"), grpc.StatusCode.UNAUTHENTICATED, "KEY_EXPIRED"),
    (QuotaUnknown("try again later"), grpc.StatusCode.UNAVAILABLE, "QUOTA_STORE"),
]


@pytest.mark.parametrize(("error", "code", "reason"), REFUSALS)
def test_a_refusal_has_a_status_and_a_reason(error: LatimerError, code: grpc.StatusCode, reason: str) -> None:
    status = to_status(error, "id")
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, info.reason) == (code.value[0], reason)
    assert reason in REFUSAL_REASONS


@pytest.mark.parametrize("quota", Quota)
def test_a_used_up_quota_is_named_with_the_time_to_retry(quota: Quota) -> None:
    status = to_status(QuotaExceeded(quota, "shop", 1_000, "the quota is used up", 2.5), "id")
    info, retry, failure = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.QuotaFailure(),
    )
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    for detail, message in zip(status.details, (info, retry, failure), strict=True):
        assert detail.Unpack(message)
    assert info.reason == QUOTA_REASONS[quota]
    assert retry.retry_delay.ToMilliseconds() == 2_500
    assert [(violation.subject, violation.description) for violation in failure.violations] == [
        ("key:shop", f"{quota}: at most 1,000")
    ]
