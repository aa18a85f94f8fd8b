"""A run as a table for the terminal, as Markdown and as JSON. Knows what an outcome is, not how it was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.peers.figures import Bound, Outcome, Spread
from benchmarks.peers.watch import Use

PLOT = "report.svg"
# Of one core, used by processes that are no part of this; and in how large a share of the measurements that may be.
_NOISE = 0.15
_MOST_NOISY = 0.05


@dataclass(frozen=True)
class Run:
    """All of it. `uses`: who had the cores, one for each measurement. `minutes`: how long the run took."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, str]
    outcomes: Sequence[Outcome]
    uses: Sequence[Use]
    minutes: float

    @property
    def bounds(self) -> list[Bound]:
        """Of all scenarios."""
        return [bound for outcome in self.outcomes for bound in outcome.bounds]


def format_figure(value: float) -> str:
    """With as many digits as mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def format_spread(spread: Spread) -> str:
    """The median, and from the least to the greatest where there are several rounds."""
    told = format_figure(spread.median)
    if len(spread.values) == 1:
        return told
    return f"{told} ({format_figure(spread.least)} to {format_figure(spread.greatest)})"


def tabulate_outcome(outcome: Outcome) -> list[list[str]]:
    """Its header and its rows; the column of cases only where there are any."""
    columns = outcome.columns
    cases = any(row.case for row in outcome.rows)
    lines = [[*(["case"] if cases else []), "engine", *columns]]
    for row in outcome.rows:
        cells = [format_spread(row.cells[name]) if name in row.cells else "" for name in columns]
        lines.append([*([row.case] if cases else []), row.engine, *cells])
    return lines


def tabulate_bounds(bounds: Sequence[Bound]) -> list[list[str]]:
    """Each bound beside what was reached."""
    lines = [["bound", "asked", "reached", ""]]
    for bound in bounds:
        asked = f"{'at most' if bound.most else 'at least'} {format_figure(bound.limit)}"
        lines.append([bound.name, asked, format_spread(bound.figure), "pass" if bound.is_kept else "MISS"])
    return lines


def describe_quiet(uses: Sequence[Use]) -> str:
    """One sentence on who else used the cores."""
    if not uses:
        return "Nobody looked at who used the cores."
    foreign = [use.foreign for use in uses]
    noisy = sum(share > _NOISE for share in foreign)
    warning = f"THE MACHINE WAS NOT QUIET in {noisy} of {len(uses)} measurements: do not quote this run. "
    told = (
        f"While an engine was measured, the others used at most {max(use.resting for use in uses):.2f} of a core, this "
        f"program {statistics.median(use.caller for use in uses):.2f} (median), other processes of the machine "
        f"{statistics.median(foreign):.2f} (median; at most {max(foreign):.2f})."
    )
    return warning + told if noisy > _MOST_NOISY * len(uses) else told


def print_run(run: Run, console: Console) -> None:
    """All tables."""
    for outcome in run.outcomes:
        console.print(_to_table(tabulate_outcome(outcome), outcome.title))
        for note in outcome.notes:
            console.print(Text(note, style="dim"))
        console.print()
    console.print(_to_table(tabulate_bounds(run.bounds), "What issue 5 asks for"))
    for told in (run.machine, run.versions, run.settings):
        console.print(Text("; ".join(f"{name} {value}" for name, value in told.items()), style="dim"))
    console.print(Text(describe_quiet(run.uses), style="dim"))


def to_markdown(run: Run, plot: str | None) -> str:
    """The report; `plot` is the name of the picture beside it."""
    lines = ["# Ours beside the engines that run the same model", ""]
    lines += [
        "Written by `make bench`: medians over the rounds of one run, in which the engines took turns; in parentheses "
        f"from the least to the greatest. The run took {run.minutes:.0f} minutes.",
        "",
    ]
    lines += [*_to_markdown_table(tabulate_bounds(run.bounds)), ""]
    if plot:
        lines += [f"![Throughput and latency against concurrent callers]({plot})", ""]
    for outcome in run.outcomes:
        lines += [f"## {outcome.title}", "", *_to_markdown_table(tabulate_outcome(outcome)), ""]
        lines += [line for note in outcome.notes for line in (note, "")]
    lines += ["## Machine and versions", ""]
    for told in (run.machine, run.versions, run.settings):
        lines += [f"- {name}: {value}" for name, value in told.items()]
    return "\n".join([*lines, "", describe_quiet(run.uses), ""])


def to_json(run: Run) -> dict[str, Any]:
    """Every value of every round."""
    return {
        "machine": dict(run.machine),
        "versions": dict(run.versions),
        "settings": dict(run.settings),
        "minutes": run.minutes,
        "bounds": [
            {
                "name": bound.name,
                "limit": bound.limit,
                "at_most": bound.most,
                "reached": bound.figure.median,
                "rounds": bound.figure.values,
                "kept": bound.is_kept,
            }
            for bound in run.bounds
        ],
        "outcomes": [_to_object(outcome) for outcome in run.outcomes],
        "cores_in_use": [vars(use) for use in run.uses],
    }


def _to_object(outcome: Outcome) -> dict[str, Any]:
    rows = [
        {"case": row.case, "engine": row.engine, "cells": {name: cell.values for name, cell in row.cells.items()}}
        for row in outcome.rows
    ]
    return {"name": outcome.name, "title": outcome.title, "rows": rows, "notes": list(outcome.notes)}


def _to_table(lines: Sequence[Sequence[str]], title: str) -> Table:
    table = Table(*lines[0], title=title, title_justify="left", box=None)
    for line in lines[1:]:
        style = "bold red" if line[-1] == "MISS" else None
        table.add_row(*map(Text, line), style=style)
    return table


def _to_markdown_table(lines: Sequence[Sequence[str]]) -> list[str]:
    rows = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines]
    return [rows[0], f"|{'---|' * len(lines[0])}", *rows[1:]]
