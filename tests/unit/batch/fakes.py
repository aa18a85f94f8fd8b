"""A sender without a server, and small documents."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import BinaryIO

from latimer.batch.results import Reading, SentUnit, UnitResult
from latimer.batch.sending import Results
from latimer.errors import ConnectionFailedError
from latimer.files import Translated, Unit


@contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Makes the system refuse writes past a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FakeSender:
    """Answers in the reverse of the order in which texts come, in groups. A text with `<fail>` fails, one with `<copy>`
    has a warning. `most`: the number of texts after which the server is gone."""

    def __init__(self, most: int | None = None) -> None:
        self.results: Results = SimpleQueue()
        self.sent: list[str] = []
        self.readings: list[Reading] = []
        self._most = most

    def send(self, reading: Reading, units: Sequence[SentUnit]) -> None:
        self.readings.append(reading)
        answers: list[tuple[int, UnitResult]] = []
        for unit in units:
            if self._most is not None and len(self.sent) >= self._most:
                self.results.put(answers)
                self.results.put(ConnectionFailedError("gone", code="UNAVAILABLE"))
                return
            self.sent.append(unit.text)
            answers.append((unit.ticket, answer(unit.text)))
        self.results.put(answers[::-1])

    def lost_servers(self) -> list[str]:
        return []

    def close(self) -> None:
        """Has nothing to cancel."""


def answer(text: str) -> UnitResult:
    """Returns the result of a text."""
    if "<fail>" in text:
        return UnitResult(None, error="this text fails")
    return UnitResult(text.upper(), ("COPIED_SOURCE",) if "<copy>" in text else (), -float(len(text)))


@dataclass(frozen=True)
class ListDocument:
    """A document of some units; its output has one line for each."""

    texts: Sequence[Unit]

    def units(self) -> Iterator[Unit]:
        return iter(self.texts)

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        for unit, translated in zip(self.texts, translations, strict=True):
            target.write((unit.text if translated.text is None else translated.text).encode() + b"\n")


def unit(text: str, context: str = "") -> Unit:
    return Unit(text=text, place="line 1", context=context)
