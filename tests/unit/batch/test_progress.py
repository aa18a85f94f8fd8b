"""Progress: a bar that fits a narrow terminal, and plain lines elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console

from latimer.batch.counts import Counts
from latimer.batch.job import BatchOutcome
from latimer.batch.results import UnitResult
from latimer.cli.batch_run import show_outcome
from latimer.cli.progress import BatchProgress, format_seconds
from latimer.files import Unit


def show(console: Console) -> str:
    """Shows the counts of a batch with warnings and failures. Returns what was written, without escapes."""
    counts = Counts(units=4_321, failed=2, flagged=12)
    counts.flags.update({"NUMBER_MISMATCH": 9, "COPIED_SOURCE": 3})
    with BatchProgress(console, 10_000) as progress:
        progress.show(counts)
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())


@pytest.mark.parametrize("width", [22, 60, 120])
def test_a_bar_fits_the_terminal(width: int) -> None:
    written = show(Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None))
    lines = [line for line in re.split(r"[\r\n]", written) if line.strip()]
    assert all(len(line) <= width for line in lines)
    assert " 43%" in written
    assert "2 failed" in written
    assert width < 60 or ("9 NUMBER_MISMATCH" if width > 90 else "12 warned") in written
    assert "…" not in written


def test_a_table_is_not_squeezed_into_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = BatchOutcome(files=[], counts=Counts(units=1), seconds=1.0)
    result = UnitResult("Olá mundo", ("LOW_LANGUAGE_CONFIDENCE",))
    outcome.counts.note("some/long/path.txt", Unit(text="Hello world", place="line 3"), result)
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "22")
    for is_terminal in ("1", "0"):
        monkeypatch.setenv("TTY_COMPATIBLE", is_terminal)
        show_outcome(outcome)
    written = terminal.getvalue()
    assert written.count("LOW_LANGUAGE_CONFIDENCE      1  some/long/path.txt, line 3: Hello world -> Olá mundo") == 2


def test_without_a_terminal_nothing_is_written_in_the_first_seconds() -> None:
    assert show(Console(file=io.StringIO(), width=80)) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7_500, "2 h 05 min")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
