"""The time that a call of the client has, with all of its requests and retries."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from latimer.errors import DeadlineExceededError


@dataclass(frozen=True)
class Deadline:
    """The end of a call. `timeout`: its seconds; None means no limit. `at`: a reading of the monotonic clock."""

    timeout: float | None
    at: float

    @classmethod
    def after(cls, timeout: float | None) -> Deadline:
        """Returns the deadline of a call that begins now."""
        return cls(timeout, math.inf if timeout is None else time.monotonic() + timeout)

    def remaining(self) -> float | None:
        """Returns the seconds that are left; None means no limit."""
        return None if math.isinf(self.at) else self.at - time.monotonic()

    def allows(self, seconds: float) -> bool:
        """Returns True if a wait of this length ends before the deadline."""
        return time.monotonic() + seconds < self.at

    def error(self) -> DeadlineExceededError:
        """Returns the error of a call whose time was over before its next request."""
        return DeadlineExceededError(
            f"the timeout of {self.timeout:g} seconds passed before the request was sent", code="DEADLINE_EXCEEDED"
        )
