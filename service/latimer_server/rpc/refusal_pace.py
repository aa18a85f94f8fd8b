"""The pace of refusals: callers that retry at once must not take the CPU time of those that are served."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import grpc

from latimer_server.core.errors import Overloaded, TooLate
from latimer_server.rpc.call import Call

# Refusals a second for each core. One takes about half a millisecond of CPU in the server, and as much in a caller.
_PER_CORE = 100.0
# Refusals that are sent at once even if they come at the same time.
_BURST = 256.0
_MOST_SECONDS = 1.0
# The share of the time until its deadline that a refusal may take.
_DEADLINE_SHARE = 0.75
# A caller retries without a pause if it has at least so many refusals in the last seconds, and so many for each answer.
# Its refusals then have a pace for a while. A server with three times the load that it bears refuses two calls for each
# that it answers.
_LEAST_REFUSALS = 24
_REFUSALS_PER_ANSWER = 5
_COUNTED_SECONDS = 10.0
_PACED_SECONDS = 20.0
_MOST_REMEMBERED = 4_096
# Refusals that may wait; each holds a thread.
MOST_WAITING = 512


@dataclass(eq=False)
class _Caller:
    """The refusals and answers of a caller in the last seconds: moving sums, which fall by half every ten seconds."""

    updated: float
    refusals: float = 0.0
    answers: float = 0.0
    # Raises the last refusal for a late deadline again while it holds for an equal call with this deadline.
    repeat: Callable[[float | None], None] | None = None
    method: str = ""  # of that refusal
    paced_until: float = float("-inf")

    def decay(self, now: float) -> None:
        kept = 0.5 ** ((now - self.updated) / _COUNTED_SECONDS)
        self.refusals *= kept
        self.answers *= kept
        self.updated = now


class RefusalPace:
    """Sends the refusals of callers that retry without a pause at a steady pace. Thread-safe.

    `cores`: those of the machine. Up to 100 of these refusals a second and core, and bursts of 256, are sent at once.
    Further ones wait for their turn, at most a second and three quarters of the time until their deadline. So such
    callers leave the cores to the model. The refusals of other callers are sent at once.
    """

    def __init__(self, cores: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = _PER_CORE * max(1, cores)
        self._clock = clock
        self._lock = threading.Lock()
        self._free = _BURST  # refusals that can be sent at once; negative: those that wait for their turn
        self._updated = clock()
        self._waiting = 0
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    def note_answer(self, caller: str) -> None:
        """Counts a call that was answered."""
        with self._lock:
            self._find(caller, self._clock()).answers += 1

    def hold_back(self, error: BaseException, call: Call, context: grpc.ServicerContext) -> None:
        """Waits until the refusal of a call may be sent, and keeps it for `repeat_refusal`. Other errors are sent at
        once."""
        if isinstance(error, TooLate):
            self._keep(error, call)
        if isinstance(error, Overloaded):
            self.wait(call.caller, context)

    def _keep(self, error: TooLate, call: Call) -> None:
        with self._lock:
            found = self._find(call.caller, self._clock())
            # Without the error itself: its traceback refers to the request.
            found.repeat, found.method = partial(error.repeat, error.characters, call.caller), call.method

    def repeat_refusal(self, call: Call) -> None:
        """Raises `TooLate` if the caller retries without a pause, and its last refusal holds for an equal call.

        Such callers send the same again, as a rule. So the message of the call is not even received, which would take
        as much time as the refusal. A refusal holds for a quarter of a second, then the next message is read.
        """
        found = self._callers.get(call.caller)
        if found and found.repeat and found.method == call.method and found.paced_until >= self._clock():
            found.repeat(call.deadline)

    def wait(self, caller: str, context: grpc.ServicerContext) -> None:
        """Waits until the refusal of a call may be sent, or until the call ends."""
        with self._lock:
            seconds = self._take_turn(caller)
            remaining = context.time_remaining()
            if remaining is not None:
                seconds = min(seconds, _DEADLINE_SHARE * remaining)
            if seconds <= 0 or self._waiting >= MOST_WAITING:
                return
            self._waiting += 1
        try:
            ended = threading.Event()
            if context.add_callback(ended.set):
                ended.wait(seconds)
        finally:
            with self._lock:
                self._waiting -= 1

    def _take_turn(self, caller: str) -> float:
        """Returns the seconds until the turn of a refusal; 0 if it is sent at once."""
        now = self._clock()
        found = self._find(caller, now)
        found.refusals += 1
        if found.refusals >= _LEAST_REFUSALS and found.refusals > _REFUSALS_PER_ANSWER * found.answers:
            found.paced_until = now + _PACED_SECONDS
        if found.paced_until < now:
            return 0.0
        self._free = min(_BURST, self._free + self._rate * (now - self._updated))
        self._updated = now
        # Beyond the longest wait there are no later turns.
        self._free = max(self._free - 1, -self._rate * _MOST_SECONDS)
        return max(0.0, -self._free / self._rate)

    def _find(self, caller: str, now: float) -> _Caller:
        found = self._callers.setdefault(caller, _Caller(now))
        self._callers.move_to_end(caller)
        if len(self._callers) > _MOST_REMEMBERED:
            self._callers.popitem(last=False)
        found.decay(now)
        return found
