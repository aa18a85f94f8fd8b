"""Poll time: when a running computation must poll for cancellation, readable without the interpreter lock.

A library that computes many steps in one call cannot call Python between them. It reads the poll time once in each step
instead, which costs nothing, and returns to Python once that time has come.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass

from latimer_server.core.decoding import Cancelled

_NEVER = 2**63 - 1
_MOST_SECONDS = 3e9


class PollTime:
    """A time of the monotonic clock. One thread sets it, and any other may read it at the same moment.

    `address` is that of the time in memory: 64 bits, signed, in nanoseconds of CLOCK_MONOTONIC. It is valid as long as
    this object.
    """

    def __init__(self) -> None:
        self._nanoseconds = ctypes.c_int64(_NEVER)
        self.address = ctypes.addressof(self._nanoseconds)

    @property
    def nanoseconds(self) -> int | None:
        """The time as `time.monotonic_ns` counts it; None for never."""
        return None if self._nanoseconds.value == _NEVER else self._nanoseconds.value

    def set_after(self, seconds: float) -> None:
        """Sets the time to `seconds` from now: the next step if they are not positive, never after a century."""
        if seconds <= 0:
            self._nanoseconds.value = 0
        elif seconds >= _MOST_SECONDS:
            self._nanoseconds.value = _NEVER
        else:
            self._nanoseconds.value = time.monotonic_ns() + int(seconds * 1e9)


@dataclass(frozen=True)
class Cancellation:
    """A `Cancelled` function with the time of its next poll.

    A backend that can polls it at the first step after that time, and also now and then before. It continues if the
    function returns False, so the function may wait in between.
    """

    poll: Cancelled
    time: PollTime

    def __call__(self) -> bool:
        """Returns True once the result of the computation is no longer needed."""
        return self.poll()
