"""Measures the paragraph of a caller that comes to a busy server, from a process of its own.

A process that creates load cannot measure milliseconds. Run as a program, this module translates a paragraph once a
second, each time on a new connection, until its input ends; then it prints the outcomes as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.service.load import watch_input
from latimer import Client, LatimerError

_PAUSE_SECONDS = 1.0
_DEADLINE_SECONDS = 20.0
_PARAGRAPH = (
    "The river rose again that night, and paragraph {number} was written by the light of a lamp. Nobody in the town "
    "slept before the water had fallen by a metre. In the morning they counted the boats and found that three of them "
    "were gone."
)


@dataclass(frozen=True)
class Visit:
    """The outcome of one paragraph: its seconds, and the name of its error; "" if it was translated."""

    seconds: float
    error: str


@contextmanager
def run_newcomer(address: str) -> Iterator[list[Visit]]:
    """Runs the program until the block ends. Then the list holds the visits."""
    visits: list[Visit] = []
    command = [sys.executable, "-m", "benchmarks.service.overload.newcomer", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield visits
        finally:
            output, _ = process.communicate()
            visits += [Visit(*visit) for visit in json.loads(output)]


def visit(address: str, number: int) -> Visit:
    """Translates a paragraph on a new connection."""
    with Client(address, timeout=_DEADLINE_SECONDS) as client:
        client.health()  # connects
        began = time.perf_counter()
        try:
            client.translate(_PARAGRAPH.format(number=number), source="en", target="pt")
        except LatimerError as error:
            return Visit(time.perf_counter() - began, type(error).__name__)
        return Visit(time.perf_counter() - began, "")


def _main() -> None:
    ended = watch_input()
    visits: list[Visit] = []
    while not ended.wait(_PAUSE_SECONDS):
        visits.append(visit(sys.argv[1], len(visits)))
    print(json.dumps([(one.seconds, one.error) for one in visits]))


if __name__ == "__main__":
    _main()
