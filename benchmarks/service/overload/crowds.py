"""Measures crowds: many callers that call again at once, and a caller that comes to them with one paragraph.

`python -m benchmarks.service.overload.crowds [--seconds 20] [NAME ...]`. For each crowd a new server. Prints for each
how many calls were answered, refused and late, the useful words a second as a share of what a few patient callers get
from the same server, and the seconds of the newcomer's paragraph. Exits with status 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import quantile, run_probe, run_server
from benchmarks.service.overload.newcomer import Visit, run_newcomer
from benchmarks.service.overload.texts import Writer
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc

_PATIENT_SECONDS = 5.0
_LEAST_WORDS = 0.7
_MOST_LATE = 0.01
_MOST_NEWCOMER_SECONDS = 1.0
_MOST_HEALTH_SECONDS = 0.05
_OK, _REFUSED = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED


@dataclass(frozen=True)
class Crowd:
    """Callers in closed loops.

    `deadline`: in seconds, or with `relative` as a multiple of the seconds that one call takes alone. `pause`: the
    seconds that a caller waits after a refusal.
    """

    callers: int
    connections: int
    characters: int
    deadline: float
    relative: bool = False
    pause: float = 0.0


CROWDS = {
    # Threads of one program, as in a batch.
    "threads": Crowd(400, 1, 500, 2.0),
    "documents": Crowd(50, 50, 20_000, 60.0),
    # Programs that ignore the hint when to try again.
    "retries": Crowd(100, 100, 20_000, 3.0, relative=True),
    # Deadlines that a fifth of them could meet.
    "hasty": Crowd(300, 30, 500, 0.3),
    "paragraphs": Crowd(400, 40, 500, 20.0),
}


@dataclass
class Outcome:
    """What a crowd saw: words of answered calls, and the seconds of each end."""

    seconds: float = 0.0
    words: int = 0
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class Callers:
    """The connections of a crowd to one server."""

    def __init__(self, address: str, connections: int) -> None:
        self._writer = Writer()
        # Channels share connections unless their options differ.
        self._channels = [
            grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), ("number", number)])
            for number in range(connections)
        ]
        self._stubs = [translation_pb2_grpc.TranslationServiceStub(channel) for channel in self._channels]

    async def connect(self) -> None:
        """Waits until all connections are there."""
        await asyncio.gather(*(channel.channel_ready() for channel in self._channels))

    async def close(self) -> None:
        """Closes the connections."""
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def call(self, number: int, characters: int, deadline: float, outcome: Outcome) -> bool:
        """Translates a new text on connection `number`. Returns False if it was refused."""
        text = self._writer.write(characters)
        request = pb.TranslateTextRequest(contents=[text], source_language_code="en", target_language_codes=["pt"])
        began = time.perf_counter()
        try:
            await self._stubs[number % len(self._stubs)].TranslateText(request, timeout=deadline)
        except grpc.aio.AioRpcError as error:
            seconds = time.perf_counter() - began
            if error.code() is _REFUSED:
                outcome.refused.append(seconds)
                return False
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                outcome.late.append(seconds)
            else:
                outcome.others.append(error.code().name)
            return True
        outcome.answered.append(time.perf_counter() - began)
        outcome.words += len(text.split())
        return True

    async def keep_calling(self, crowd: Crowd, deadline: float, seconds: float) -> Outcome:
        """Runs the crowd for `seconds`, then waits for the calls in work."""
        outcome, began, numbers = Outcome(), time.perf_counter(), count()

        async def repeat() -> None:
            number = next(numbers)
            while time.perf_counter() < began + seconds:
                if not await self.call(number, crowd.characters, deadline, outcome) and crowd.pause:
                    await asyncio.sleep(crowd.pause)

        await asyncio.gather(*(repeat() for _ in range(crowd.callers)))
        outcome.seconds = time.perf_counter() - began
        return outcome


@dataclass(frozen=True)
class Measurement:
    """The figures of one crowd.

    `alone`: seconds of one call on the idle server. `patient`: the outcome of eight callers without refusals. `visits`:
    of the newcomer. `probes`: seconds of health checks.
    """

    alone: float
    deadline: float
    patient: Outcome
    outcome: Outcome
    visits: list[Visit]
    probes: list[float]

    @property
    def share(self) -> float:
        """The words a second as a share of those of patient callers."""
        return self.outcome.words / self.outcome.seconds / (self.patient.words / self.patient.seconds)

    @property
    def late(self) -> float:
        """The share of late calls among those that were accepted."""
        return len(self.outcome.late) / max(1, len(self.outcome.answered) + len(self.outcome.late))

    @property
    def newcomer(self) -> list[float]:
        """The seconds of the newcomer's answers."""
        return [visit.seconds for visit in self.visits if not visit.error]

    @property
    def failures(self) -> int:
        """The number of the newcomer's paragraphs that were not translated."""
        return sum(bool(visit.error) for visit in self.visits)

    def holds(self) -> bool:
        """True if every bound is kept."""
        return (
            self.share >= _LEAST_WORDS
            and self.late <= _MOST_LATE
            and not self.outcome.others
            and not self.failures
            and max(self.newcomer, default=0.0) <= _MOST_NEWCOMER_SECONDS
            and quantile(self.probes, 0.99) <= _MOST_HEALTH_SECONDS
        )

    def describe(self) -> tuple[str, ...]:
        """Returns the cells of a row of the table."""
        outcome, newcomer = self.outcome, self.newcomer
        return (
            f"{self.alone:.3f}",
            f"{self.deadline:.2f}",
            f"{len(outcome.answered) / outcome.seconds:.1f}",
            f"{self.share:.0%}",
            f"{len(outcome.refused) / outcome.seconds:.0f}",
            f"{quantile(outcome.refused, 0.99):.2f}",
            f"{self.late:.1%}",
            str(len(outcome.others)),
            f"{quantile(newcomer, 0.5):.2f}",
            f"{max(newcomer, default=0.0):.2f}",
            f"{self.failures} of {len(self.visits)}",
            f"{1_000 * quantile(self.probes, 0.99):.0f}",
        )


async def measure(crowd: Crowd, address: str, seconds: float) -> Measurement:
    """Measures one crowd at a server."""
    callers = Callers(address, crowd.connections)
    try:
        await callers.connect()
        alone = Outcome()
        for _ in range(5):
            await callers.call(0, crowd.characters, 60.0, alone)
        one = quantile(alone.answered, 0.5)
        few = Crowd(8, 8, crowd.characters, 60.0)
        patient = await callers.keep_calling(few, few.deadline, _PATIENT_SECONDS)
        deadline = crowd.deadline * one if crowd.relative else crowd.deadline
        with run_newcomer(address) as visits, run_probe(address) as probes:
            outcome = await callers.keep_calling(crowd, deadline, seconds)
    finally:
        await callers.close()
    return Measurement(one, deadline, patient, outcome, visits, probes)


def run(names: Sequence[str], seconds: float) -> int:
    """Measures crowds and prints them. Returns the exit status."""
    table = Table(title=f"crowds in closed loops, {seconds:g} s each")
    for name in (
        "crowd", "alone, s", "deadline, s", "answered/s", "words", "refused/s", "refusal p99, s", "late", "others",
        "newcomer p50, s", "max", "failed", "health p99, ms", "",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    failed = False
    for name in names:
        with run_server() as server:
            found = asyncio.run(measure(CROWDS[name], server.address, seconds))
        failed |= not found.holds()
        table.add_row(name, *found.describe(), "" if found.holds() else "BROKEN")
    Console(width=180).print(table)
    return int(failed)


def main() -> int:
    """Reads the command line, measures and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"crowds to measure: {', '.join(CROWDS)} (all)")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of each crowd")
    options = parser.parse_args()
    return run(options.names or list(CROWDS), options.seconds)


if __name__ == "__main__":
    sys.exit(main())
