"""Call record: what a call has done so far, for its line in the log and its span."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from latimer_server.core.errors import LatimerError
from latimer_server.core.flags import Flag
from latimer_server.core.telemetry import LoadWait, NoTelemetry, Telemetry, Trace
from latimer_server.core.usage import Usage


@dataclass(frozen=True)
class OutputReport:
    """One output of a call, a translation or a summary: the words of its source and the models that made it."""

    words: int
    models: Sequence[str]
    flags: Sequence[Flag]
    error: LatimerError | None = None


def count_words(text: str) -> int:
    """Returns the number of words of a text, divided by white space."""
    return len(text.split())


@dataclass
class CallRecord:
    """The work of one call. Written by one thread at a time.

    `trace`: its span, None if it is not recorded. `trace_id`: the id of its trace, "" without one. `items`: contents
    with a result, `failed_items` of them with an error. `flags`: the number of outputs with each flag. `load_wait`: its
    wait for models to be loaded.
    """

    telemetry: Telemetry = field(default_factory=NoTelemetry)
    trace: Trace | None = None
    trace_id: str = ""
    items: int = 0
    failed_items: int = 0
    usage: Usage = field(default_factory=Usage)
    models: dict[str, None] = field(default_factory=dict)
    flags: dict[Flag, int] = field(default_factory=dict)
    load_wait: LoadWait = field(default_factory=LoadWait)

    def add(self, items: int, outputs: Iterable[OutputReport], usage: Usage) -> None:
        """Adds items with their outputs, and reports words and flags to the telemetry."""
        words: dict[str, int] = {}
        flags: dict[Flag, int] = {}
        for output in outputs:
            self.failed_items += output.error is not None
            for model in output.models:
                words[model] = words.get(model, 0) + output.words
            for flag in output.flags:
                flags[flag] = flags.get(flag, 0) + 1
        self.items += items
        self.usage.characters += usage.characters
        self.usage.add(usage)
        for model, count in words.items():
            self.models[model] = None
            self.telemetry.note_words(model, count)
        for flag, times in flags.items():
            self.flags[flag] = self.flags.get(flag, 0) + times
            self.telemetry.note_flag(flag, times)

    def describe(self) -> dict[str, str | int | float]:
        """Returns the values for the log line and the span. A call without items has its wait for models alone."""
        values: dict[str, str | int | float] = {}
        if waited := self.load_wait.seconds:
            values["load_milliseconds"] = round(1_000 * waited, 1)
        if not self.items:
            return values
        usage = self.usage
        values["items"] = self.items
        values["characters"] = usage.characters
        values["queue_milliseconds"] = round(1_000 * usage.queue_seconds, 1)
        values["compute_milliseconds"] = round(1_000 * usage.compute_seconds, 1)
        if self.models:
            values["models"] = ",".join(self.models)
        if self.flags:
            values["flags"] = ",".join(f"{flag.name}:{times}" for flag, times in self.flags.items())
        if self.failed_items:
            values["failed_items"] = self.failed_items
        return values
