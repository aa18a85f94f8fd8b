"""Which threads come first where there is more to do than cores.

The event loop's does: what it has to do is short, everybody waits for it, and a call that cannot be had in time must be
refused at once. Knows nothing of what threads do.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

# Steps of setpriority(2) below the process's own. Without the first, twice the load that a server can bear waited for
# the loop, unseen by who refuses; without the second, translations beside eight callers of summaries took 1.9 to 2.3
# times as long at p99 on two cores that others used too, and 1.1 to 1.5 times with it
# (benchmarks/service/beside_summaries.py).
BATCH_NICENESS = 10
SUMMARY_NICENESS = 19
_LEAST_URGENT = 19


def lower_priority(steps: int) -> None:
    """Has this thread, and those that it starts from now on, wait where there is more to do than cores. Linux only,
    where a thread has a priority of its own."""
    if sys.platform == "linux":
        with suppress(OSError):  # the container forbids it
            own = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(_LEAST_URGENT, own + steps))
