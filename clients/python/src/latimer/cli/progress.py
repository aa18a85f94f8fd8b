"""Progress of a batch on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from latimer.batch.counts import Counts

# Seconds between lines where there is no terminal; they grow, so that a long batch writes few.
_FIRST_INTERVAL = 5.0
_LONGEST_INTERVAL = 60.0
# The narrowest terminal that has room for the rate and the warnings beside the bar.
_WIDE = 90
# The narrowest terminal with a bar, the columns of the bar there, and those of the share with its space.
_NARROW = 50
_SMALLEST_BAR = 10
_SHARE = 5


@dataclass
class BatchProgress:
    """Shows counts. A context manager. `total`: the units of the batch."""

    console: Console
    total: int
    _begun: float = field(default_factory=time.monotonic)
    _next_line: float = 0.0
    _interval: float = _FIRST_INTERVAL
    _bar: Progress | None = None
    _task: TaskID | None = None

    def __enter__(self) -> BatchProgress:
        if self.console.is_terminal:
            columns = [
                TextColumn("{task.percentage:>3.0f}%"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[state]}"),
            ]
            self._bar = Progress(
                *(columns if self.console.width >= _NARROW else [columns[0], columns[2]]),
                console=self.console,
                transient=True,
                refresh_per_second=5,
                expand=True,
            )
            self._task = self._bar.add_task("", total=max(self.total, 1), state="")
            self._bar.start()
        self._next_line = self._begun + self._interval
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, counts: Counts) -> None:
        """Shows the counts, if it is time for it."""
        if self._bar is not None and self._task is not None:
            parts = self._describe(counts, is_short=self.console.width < _WIDE)
            while len(parts) > 1 and self._is_too_wide(parts):
                # The rate goes first: failures and the time left matter more.
                parts.pop(0)
            self._bar.update(self._task, completed=counts.units, state=Text(", ".join(parts)))
        elif time.monotonic() >= self._next_line:
            self._interval = min(2 * self._interval, _LONGEST_INTERVAL)
            self._next_line = time.monotonic() + self._interval
            share = 100 * counts.units // max(self.total, 1)
            line = ", ".join(self._describe(counts, is_short=False))
            self.console.out(f"latimer: {share}%, {counts.units:,} of {self.total:,} units, {line}", highlight=False)

    def _is_too_wide(self, parts: list[str]) -> bool:
        """Returns True if a state does not fit beside the share and the bar."""
        bar = _SMALLEST_BAR if self.console.width >= _NARROW else 0
        return len(", ".join(parts)) > self.console.width - _SHARE - bar

    def _describe(self, counts: Counts, *, is_short: bool) -> list[str]:
        seconds = max(time.monotonic() - self._begun, 1e-9)
        rate = counts.units / seconds
        parts = [f"{rate:,.0f}/s"]
        if counts.units and self.total:
            parts.append(f"{format_seconds((self.total - counts.units) / max(rate, 1e-9))} left")
        warnings = sum(counts.flags.values())
        if is_short:
            parts += [f"{counts.flagged:,} warned"] if warnings else []
        else:
            parts += [f"{count:,} {flag}" for flag, count in counts.flags.most_common(3)]
        if counts.failed:
            parts.append(f"{counts.failed:,} failed")
        return parts


@contextmanager
def show_status(console: Console, message: str) -> Iterator[None]:
    """Shows a message on a terminal while the block runs."""
    if console.is_terminal:
        with console.status(message):
            yield
    else:
        yield


def format_seconds(seconds: float) -> str:
    """Returns a duration such as `45 s`, `3 min 20 s` or `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60:02} min"
