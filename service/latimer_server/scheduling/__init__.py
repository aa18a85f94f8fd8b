"""Which work is done when: admission, batches, the order among callers, cores and threads, and what leaves the loop.

Knows no gRPC, no model library and no clock but the one it is given. One event loop's: only what a batch computes
runs in other threads.
"""

from latimer_server.core.decoding import Outcome
from latimer_server.scheduling.admission import Admission
from latimer_server.scheduling.executors import Executors, Seat
from latimer_server.scheduling.inflight_limit import PieceWindow
from latimer_server.scheduling.offload import gather_or_cancel, off_loop, weigh_texts
from latimer_server.scheduling.permits import CorePermits
from latimer_server.scheduling.priority import Precedence, Priority
from latimer_server.scheduling.queue import BatchQueue

__all__ = [
    "Admission",
    "BatchQueue",
    "CorePermits",
    "Executors",
    "Outcome",
    "PieceWindow",
    "Precedence",
    "Priority",
    "Seat",
    "gather_or_cancel",
    "off_loop",
    "weigh_texts",
]
