"""A call: its method, its identity, its caller and its deadline."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

from latimer_server.core.access import Principal
from latimer_server.core.errors import Unauthenticated
from latimer_server.rpc.call_access import CallAccess
from latimer_server.rpc.call_record import CallRecord
from latimer_server.rpc.quotas.meter import QuotaUse

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{1,64}")
_TRACE_PARENT = re.compile("(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
# Request ids are names for the log and need no unpredictable numbers.
_random_bits = random.Random().getrandbits
# Of a call without a deadline gRPC reports that some 292 billion years remain.
_ENDLESS_SECONDS = 1e9


@dataclass(frozen=True)
class Call:
    """One call as servicers see it.

    `principal`: its caller. `deadline`: a reading of the monotonic clock in seconds, None without a deadline. `record`:
    where servicers note what they did. `quota`: its use of the quotas of its key; None without a key. `access`: what
    its credentials open; None in tests without credentials.
    """

    method: str
    request_id: str
    principal: Principal
    deadline: float | None
    record: CallRecord = field(default_factory=CallRecord)
    quota: QuotaUse | None = None
    access: CallAccess | None = None

    @property
    def caller(self) -> str:
        """The name under which the queues and limits count this call; see `caller_identity`."""
        return self.principal.caller

    @property
    def access_seconds_left(self) -> float:
        """The seconds until the credentials of the call expire, infinite for those that do not."""
        return math.inf if self.access is None else self.access.seconds_left

    def renew_access(self) -> None:
        """Raises the error that a new call with these credentials gets now; to be called with each message."""
        if self.access is not None:
            self.access.renew()


def read_metadata(context: grpc.ServicerContext) -> Mapping[str, str | bytes]:
    """Returns the metadata of a call. Of repeated keys the last value counts."""
    return dict(context.invocation_metadata() or ())


def check_authorization(context: grpc.ServicerContext) -> None:
    """Raises `Unauthenticated` if a call has `authorization` headers that differ: a proxy might read one of them, and
    this server another."""
    values = {value for key, value in context.invocation_metadata() or () if key == "authorization"}
    if len(values) > 1:
        raise Unauthenticated(f"the call has {len(values)} different `authorization` headers; one is allowed")


def read_request_id(metadata: Mapping[str, str | bytes]) -> str:
    """Returns the caller's `x-request-id` if it is 1 to 64 letters, digits, `_` or `-`, else a new id."""
    offered = metadata.get("x-request-id", "")
    if isinstance(offered, str) and _REQUEST_ID.fullmatch(offered):
        return offered
    return f"{_random_bits(128):032x}"


def read_trace_id(metadata: Mapping[str, str | bytes]) -> str:
    """Returns the id of the caller's trace (W3C Trace Context, `traceparent`), "" without one."""
    found = _TRACE_PARENT.fullmatch(str(metadata.get("traceparent", "")))
    return found[1] if found else ""


def read_deadline(context: grpc.ServicerContext) -> float | None:
    """Returns the call's deadline on the monotonic clock in seconds, None without one."""
    remaining = context.time_remaining()
    return None if remaining is None or remaining > _ENDLESS_SECONDS else time.monotonic() + remaining
