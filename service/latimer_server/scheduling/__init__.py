"""Which work is done when: admission, batches, the order among callers, cores and threads, and what leaves the loop.

Knows no gRPC, no model library and no clock but the one it is given. One event loop's: only what a batch computes
runs in other threads.
"""

from latimer_server.core.decoding import TimedHypothesis
from latimer_server.scheduling.admission import Admission
from latimer_server.scheduling.executors import ComputeSlot, Executors
from latimer_server.scheduling.inflight_limit import InflightLimit
from latimer_server.scheduling.offload import estimate_text_work, gather_or_cancel, run_off_loop
from latimer_server.scheduling.permits import CorePermits
from latimer_server.scheduling.priority import Priority, PriorityPolicy
from latimer_server.scheduling.queue import BatchQueue

__all__ = [
    "Admission",
    "BatchQueue",
    "ComputeSlot",
    "CorePermits",
    "Executors",
    "InflightLimit",
    "Priority",
    "PriorityPolicy",
    "TimedHypothesis",
    "estimate_text_work",
    "gather_or_cancel",
    "run_off_loop",
]
