"""Compute watch: finds compute threads that make no progress, for the health check `liveness`.

A batch may take minutes, so its duration says nothing. A thread makes progress if it uses CPU time, or if its backend
polls `cancelled`, which backends do every few steps. A backend whose library computes in threads of its own makes
progress while the process uses CPU time.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass

from latimer_server.core.decoding import Cancelled

# Looks are a second apart. A later look does not count: the process was stopped, or had no core.
_MOST_LOOK_SECONDS = 2.0
# The CPU time within a second that counts as progress: an idle thread has none. An idle server takes about 5 ms.
_THREAD_SECONDS, _PROCESS_SECONDS = 0.001, 0.1
# Looks without progress after which a thread counts as stalled.
_STALLED_LOOKS = 6
# Seconds after which a thread that computes but polls nothing counts as stalled: an endless loop.
_ENDLESS_SECONDS = 1_800.0


@dataclass(eq=False)
class _Work:
    """The work of one thread. `polls`: how often its backend has polled. `looks`: successive looks without progress."""

    delegates: bool
    clock_id: int
    polled_at: float
    polls: int = 0
    seen_polls: int = -1
    seen_seconds: float = 0.0
    looks: int = 0


class ComputeWatch:
    """The work of the compute threads. Thread-safe: threads `begin` and `end` work, and one other thread looks."""

    def __init__(self) -> None:
        self._works: dict[int, _Work] = {}
        self._looked_at = time.monotonic()
        self._process_seconds = time.process_time()

    def begin(self, *, delegates: bool) -> None:
        """Notes that the calling thread begins work. `delegates`: a library computes it in threads of its own."""
        thread = threading.get_ident()
        self._works[thread] = _Work(delegates, _find_clock(thread), time.monotonic())

    def end(self) -> None:
        """Notes that the calling thread has ended its work."""
        self._works.pop(threading.get_ident(), None)

    def note_polls(self, cancelled: Cancelled) -> Cancelled:
        """Returns `cancelled` with each call noted as progress of the calling thread's work, whatever thread calls."""
        work = self._works.get(threading.get_ident())
        if work is None:
            return cancelled

        def poll() -> bool:
            work.polls += 1
            return cancelled()

        return poll

    def count_stalled(self) -> int:
        """Returns the number of threads that make no progress. Call it once a second from one thread."""
        now, process_seconds = time.monotonic(), time.process_time()
        counts = now - self._looked_at <= _MOST_LOOK_SECONDS
        process_works = process_seconds - self._process_seconds >= _PROCESS_SECONDS
        self._looked_at, self._process_seconds = now, process_seconds
        return sum(self._is_stalled(work, now, counts, process_works) for work in list(self._works.values()))

    def _is_stalled(self, work: _Work, now: float, counts: bool, process_works: bool) -> bool:  # noqa: FBT001
        polled = work.polls != work.seen_polls
        seconds = _read_clock(work.clock_id)
        computed = seconds - work.seen_seconds >= _THREAD_SECONDS or (work.delegates and process_works)
        work.seen_polls, work.seen_seconds = work.polls, seconds
        if polled:
            work.polled_at = now
        if polled or computed:
            work.looks = 0
        elif counts:
            work.looks += 1
        return work.looks >= _STALLED_LOOKS or now - work.polled_at >= _ENDLESS_SECONDS


def _find_clock(thread: int) -> int:
    """Returns the id of the clock of a thread's CPU time."""
    return time.pthread_getcpuclockid(thread) if sys.platform == "linux" else 0


def _read_clock(clock_id: int) -> float:
    """Returns the CPU seconds of a thread; of the process if threads have no clocks, or if the thread has ended."""
    if sys.platform != "linux":
        return time.process_time()
    try:
        return time.clock_gettime(clock_id)
    except OSError:
        return time.process_time()
