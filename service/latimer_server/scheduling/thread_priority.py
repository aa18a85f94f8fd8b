"""Thread priority: lowers the priority of batch threads so that the event loop runs first.

The event loop's work is short and every call depends on it. A call that cannot meet its deadline must also be refused
at once.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

# Nice values of the threads that compute batches and of those that generate summaries, above the process's own
# (setpriority(2)). Without the first, the event loop starved under twice the bearable load and refused calls too late.
# Without the second, summaries slowed translations down: on two shared cores their p99 latency grew 1.9 to 2.3 times
# instead of 1.1 to 1.5 times (benchmarks/service/beside_summaries.py).
BATCH_NICENESS = 10
SUMMARY_NICENESS = 19
# Of threads whose batch takes so long that other batches use its cores as well.
LENT_NICENESS = 19
_MAX_NICENESS = 19  # the lowest priority on Linux


def lower_priority(steps: int, thread: int | None = None) -> None:
    """Sets the nice value of a thread, and of threads that it starts later, to the process's value plus `steps`.

    `thread`: the native id of the thread; None means this one. The sum is at most 19. Works on Linux only, where each
    thread has its own nice value. Does nothing if the container forbids it, or if the thread has ended.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            process_niceness = os.getpriority(os.PRIO_PROCESS, os.getpid())
            niceness = min(_MAX_NICENESS, process_niceness + steps)
            os.setpriority(os.PRIO_PROCESS, thread or threading.get_native_id(), niceness)
