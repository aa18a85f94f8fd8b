"""Scheduling: decides which work runs when, on how many cores and in which thread.

Holds admission of requests, the batch queue, the order among callers, permits for cores, and helpers that move work off
the event loop. Imports neither gRPC nor a model library, and reads time only from the clock that it is given. Its
objects belong to one event loop; batches and work on long texts run in other threads.
"""

from latimer_server.core.decoding import TimedHypothesis
from latimer_server.scheduling.admission import Admission
from latimer_server.scheduling.compute_slot import ComputeSlot
from latimer_server.scheduling.coroutine_groups import gather_or_cancel
from latimer_server.scheduling.executors import Executors
from latimer_server.scheduling.inflight_limit import InflightLimit
from latimer_server.scheduling.permits import CorePermits
from latimer_server.scheduling.piece_size import count_characters, count_tokens, estimate_characters
from latimer_server.scheduling.preemption import PreemptibleBatch, PreemptibleBatches
from latimer_server.scheduling.priority import Priority, PriorityPolicy
from latimer_server.scheduling.queue import BatchQueue
from latimer_server.scheduling.request_backlog import HeldRequest
from latimer_server.scheduling.text_work import TextWork, TextWorkers, estimate_text_work

__all__ = [
    "Admission",
    "BatchQueue",
    "ComputeSlot",
    "CorePermits",
    "Executors",
    "HeldRequest",
    "InflightLimit",
    "PreemptibleBatch",
    "PreemptibleBatches",
    "Priority",
    "PriorityPolicy",
    "TextWork",
    "TextWorkers",
    "TimedHypothesis",
    "count_characters",
    "count_tokens",
    "estimate_characters",
    "estimate_text_work",
    "gather_or_cancel",
]
