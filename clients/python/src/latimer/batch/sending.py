"""The queue between a batch and its servers.

Workers of all servers take groups from one queue, so a fast server takes more of them, and the texts of a server that
goes away go to the others.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from latimer.batch.results import Reading, SentUnit, UnitResult
from latimer.errors import ConnectionFailedError, LatimerError, OverloadedError
from latimer.types import TLS

# Results of units by their tickets, or the error that ends the batch.
Results = SimpleQueue[list[tuple[int, UnitResult]] | LatimerError]

# Most units and code points of a group. The contract allows 1,024 texts in a message.
GROUP_UNITS = 512
GROUP_CHARACTERS = 65_536
MOST_CHARACTERS = 1_000_000  # of one text
# A unit whose result is an error that may pass is sent again this many times.
_MOST_TRIES = 3
# Calls in a row without a result before a worker gives its server up; with the delays, some 20 seconds.
_MOST_FAILURES = 10
# The same before the first result, when the address is likelier wrong than the server gone.
_MOST_FIRST_FAILURES = 3
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 3.0


class ServerAddress(NamedTuple):
    """A server and how to reach it."""

    address: str
    token: str | None = None
    tls: TLS | None = None


@dataclass
class Flight:
    """The units of one call that have no result yet, by the ids that the call gives them.

    `is_over`: True if the call has ended. The queue changes both under its lock, so that a unit is never lost between
    the thread that sends and the one that reads.
    """

    units: dict[str, SentUnit] = field(default_factory=dict)
    is_over: bool = False


class Sender(Protocol):
    """Sends units to servers. `results` gets each result once, in any order."""

    results: Results

    def send(self, reading: Reading, units: Sequence[SentUnit]) -> None:
        """Queues a group of units."""
        ...

    def lost_servers(self) -> list[str]:
        """Returns the addresses of servers whose last calls have failed, while others went on."""
        ...

    def close(self) -> None:
        """Cancels calls in flight."""
        ...


class GroupQueue:
    """Groups of units that wait for a worker. Thread-safe.

    Workers report failed calls here, because the batch ends only when the servers of all workers fail.
    """

    def __init__(self, results: Results, workers: int) -> None:
        self._results = results
        self._groups: deque[Sequence[SentUnit]] = deque()
        self._changed = threading.Condition()
        self._failures = [0] * workers
        self._is_closed = False
        self._has_results = False

    @property
    def is_closed(self) -> bool:
        """True if the batch is over."""
        return self._is_closed

    def put(self, units: Sequence[SentUnit]) -> None:
        """Adds a group at the end."""
        with self._changed:
            self._groups.append(units)
            self._changed.notify_all()

    def take(self, flight: Flight, most: int) -> Sequence[SentUnit] | None:
        """Waits for a group, while `flight` has `most` units or more. Returns None at the end of the call or batch."""
        with self._changed:
            while not (self._is_closed or flight.is_over):
                if self._groups and len(flight.units) < most:
                    units = self._groups.popleft()
                    for unit in units:
                        flight.units[str(unit[0])] = unit
                    return units
                self._changed.wait()
        return None

    def land(self, flight: Flight) -> None:
        """Ends a call: it takes no more groups, and its units without a result are sent again."""
        with self._changed:
            flight.is_over = True
            self._changed.notify_all()
        self.try_again(list(flight.units.values()))

    def wait(self) -> bool:
        """Waits until there is a group. Returns False at the end of the batch."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._groups)
            return not self._is_closed

    def notify(self) -> None:
        """Lets workers look again whether they are ready or over."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def deliver(self, worker: int, results: list[tuple[int, UnitResult]]) -> None:
        """Hands results to the batch."""
        self._failures[worker] = 0
        self._has_results = True
        if results:
            self._results.put(results)

    def try_again(self, units: Sequence[SentUnit]) -> None:
        """Puts units without a result in front of the others."""
        with self._changed:
            self._groups.extendleft(reversed(list(pack_units(units))))
            self._changed.notify_all()

    def refuse(self, flight: Flight, results: list[tuple[int, UnitResult]]) -> None:
        """Hands over the results of units that cannot be sent."""
        with self._changed:
            for ticket, _ in results:
                flight.units.pop(str(ticket), None)
        self._results.put(results)

    def end(self, error: LatimerError) -> None:
        """Ends the batch with an error."""
        with self._changed:
            self._results.put(error)
            self._is_closed = True
            self._changed.notify_all()

    def is_lost(self, worker: int) -> bool:
        """Returns True if the last calls of a worker have failed."""
        return self._failures[worker] >= _MOST_FIRST_FAILURES

    def fail(self, worker: int, error: LatimerError) -> bool:
        """Records a failed call, and waits before the next one. Returns False if the worker must stop."""
        with self._changed:
            if self._is_closed:
                return False
            self._failures[worker] += 1
            failures = self._failures[worker]
            most = _MOST_FAILURES if self._has_results else _MOST_FIRST_FAILURES
            if not may_pass(error) or min(self._failures) >= most:
                self._results.put(error)
                self._is_closed = True
                self._changed.notify_all()
                return False
            delay = min(_FIRST_DELAY * 2.0 ** min(failures - 1, 10), _LONGEST_DELAY)
            # The jitter spreads the calls of workers that lost their server at the same moment.
            delay = max(delay, error.retry_after or 0.0) * random.uniform(0.8, 1.2)
            self._changed.wait_for(lambda: self._is_closed, delay)
            return not self._is_closed


def find_fault(text: str) -> str:
    """Returns why no message can contain a text; "" for a valid text."""
    if len(text) > MOST_CHARACTERS:
        return f"the text has {len(text):,} characters, and the server takes at most {MOST_CHARACTERS:,}"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"the text has half of a surrogate pair at character {error.start + 1}, which is no valid text"
    return ""


def pack_units(units: Iterable[SentUnit]) -> Iterator[list[SentUnit]]:
    """Divides units into groups within the limits of a message. A long unit gets a group of its own."""
    group: list[SentUnit] = []
    size = 0
    for unit in units:
        length = len(unit[1])
        if group and (len(group) == GROUP_UNITS or size + length > GROUP_CHARACTERS):
            yield group
            group, size = [], 0
        group.append(unit)
        size += length
    if group:
        yield group


def may_pass(error: LatimerError) -> bool:
    """Returns True for an error after which the same call may succeed."""
    return isinstance(error, (ConnectionFailedError, OverloadedError))


def is_worth_another_try(unit: SentUnit, error: LatimerError) -> bool:
    """Returns True if a unit whose result is this error is sent again."""
    return may_pass(error) and unit.tries < _MOST_TRIES
