"""Short requests with deadlines: a crowd that calls again at once is served at the rate of the server, not all late."""

from __future__ import annotations

import heapq
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from latimer_server.core.errors import DeadlineExceeded
from latimer_server.scheduling.request_backlog import FIXED_CHARACTERS, RequestBacklog

CHARACTERS = 500
TOKENS = 150
SECONDS = 20.0
ARRIVAL, DEADLINE, DONE = range(3)


class Server:
    """A simulated server that does one request after another, and drops those whose deadline has passed.

    `rate`: the code points that it does a second. `token_rate`: what its model would do alone, in tokens a second.
    """

    def __init__(self, rate: float, token_rate: float) -> None:
        self.now = 0.0
        self.backlog = RequestBacklog(lambda: self.now)
        self.backlog.note_encoding(CHARACTERS, TOKENS)
        self.outcomes: Counter[str] = Counter()
        self._seconds = (CHARACTERS + FIXED_CHARACTERS) / rate
        self._token_rate = token_rate
        self._events: list[tuple[float, int, int, float]] = []
        self._held: dict[int, tuple[float, ExitStack]] = {}  # by caller: when the request came
        self._queue: list[tuple[int, float]] = []
        self._busy = False

    def run(self, callers: int, connections: int, deadline: float) -> None:
        """Runs callers in closed loops; one that is refused tries again after 0.2 seconds."""
        for caller in range(callers):
            self._add(0.0001 * caller, ARRIVAL, caller, 0.0)
        while self._events[0][0] < SECONDS:
            self.now, kind, caller, came = heapq.heappop(self._events)
            is_held = caller in self._held and self._held[caller][0] == came
            if kind == ARRIVAL:
                self._arrive(caller, caller % connections, deadline)
            elif kind == DEADLINE and is_held:
                self._end(caller, "late")
            elif kind == DONE:
                if is_held:
                    self.backlog.note_computed(TOKENS)
                    self._end(caller, "in time")
                self._start_next()

    def _arrive(self, caller: int, connection: int, deadline: float) -> None:
        if self.backlog.estimate_seconds(CHARACTERS, connection, self._token_rate, deadline / 1.2):
            self._add(self.now + 0.2, ARRIVAL, caller, 0.0)
            return
        stack = ExitStack()
        stack.enter_context(self.backlog.hold(CHARACTERS, connection, self.now + deadline))
        self._held[caller] = self.now, stack
        self._queue.append((caller, self.now))
        self._add(self.now + deadline, DEADLINE, caller, self.now)
        if not self._busy:
            self._start_next()

    def _end(self, caller: int, outcome: str) -> None:
        _, stack = self._held.pop(caller)
        self.outcomes[outcome] += 1
        error = DeadlineExceeded("late") if outcome == "late" else None
        with suppress(DeadlineExceeded):
            stack.__exit__(type(error) if error else None, error, None)
        self._add(self.now + 0.001, ARRIVAL, caller, 0.0)

    def _start_next(self) -> None:
        while self._queue and self._held.get(self._queue[0][0], (None,))[0] != self._queue[0][1]:
            self._queue.pop(0)
        self._busy = bool(self._queue)
        if self._busy:
            caller, came = self._queue.pop(0)
            self._add(self.now + self._seconds, DONE, caller, came)

    def _add(self, at: float, kind: int, caller: int, came: float) -> None:
        heapq.heappush(self._events, (at, kind, caller, came))


@pytest.mark.parametrize(("callers", "connections", "deadline"), [(300, 30, 0.3), (400, 1, 2.0), (400, 40, 2.0)])
@pytest.mark.parametrize("times_too_high", [1.5, 3.0])
def test_a_crowd_is_served_at_the_rate_of_the_server(
    callers: int, connections: int, deadline: float, times_too_high: float
) -> None:
    rate = 30_000.0
    server = Server(rate, times_too_high * rate * TOKENS / CHARACTERS)
    server.run(callers, connections, deadline)
    fit = SECONDS * rate / (CHARACTERS + FIXED_CHARACTERS)
    assert server.outcomes["in time"] >= 0.75 * fit
    assert server.outcomes["late"] <= 0.5 * server.outcomes["in time"]


def test_without_late_requests_the_rate_of_the_model_counts() -> None:
    server = Server(30_000.0, 30_000.0 * TOKENS / CHARACTERS)
    server.run(10, 10, 2.0)
    assert server.outcomes["late"] == 0
