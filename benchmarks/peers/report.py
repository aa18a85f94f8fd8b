"""Writes a run as tables for the terminal, as Markdown and as JSON."""

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
# Foreign processes may use this share of one core before a measurement counts as noisy.
_NOISE = 0.15
# This share of the measurements may be noisy before the report warns.
_MOST_NOISY = 0.05


@dataclass(frozen=True)
class Run:
    """The results of a run. `uses`: the use of the cores, one for each measurement. `minutes`: the length of the
    run."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, str]
    outcomes: Sequence[Outcome]
    uses: Sequence[Use]
    minutes: float

    @property
    def bounds(self) -> list[Bound]:
        """The bounds of all scenarios."""
        return [bound for outcome in self.outcomes for bound in outcome.bounds]


def format_figure(value: float) -> str:
    """Formats a figure with three significant digits, or as a whole number from 100 up."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def format_spread(spread: Spread) -> str:
    """Formats the median, and the least and greatest values if there are several rounds."""
    median = format_figure(spread.median)
    if len(spread.values) == 1:
        return median
    return f"{median} ({format_figure(spread.least)} to {format_figure(spread.greatest)})"


def tabulate_outcome(outcome: Outcome) -> list[list[str]]:
    """Returns the header and the rows of an outcome. The column `case` is left out if no row has a case."""
    columns = outcome.columns
    cases = any(row.case for row in outcome.rows)
    lines = [[*(["case"] if cases else []), "engine", *columns]]
    for row in outcome.rows:
        cells = [format_spread(row.cells[name]) if name in row.cells else "" for name in columns]
        lines.append([*([row.case] if cases else []), row.engine, *cells])
    return lines


def tabulate_bounds(bounds: Sequence[Bound]) -> list[list[str]]:
    """Returns the header and one row for each bound, with its limit and its figure."""
    lines = [["bound", "limit", "measured", ""]]
    for bound in bounds:
        limit = f"{'at most' if bound.most else 'at least'} {format_figure(bound.limit)}"
        lines.append([bound.name, limit, format_spread(bound.figure), "pass" if bound.is_kept else "MISS"])
    return lines


def describe_quiet(uses: Sequence[Use]) -> str:
    """Describes in one sentence which other processes used the cores, with a warning if the machine was noisy."""
    if not uses:
        return "The use of the cores was not measured."
    foreign = [use.foreign for use in uses]
    noisy = sum(share > _NOISE for share in foreign)
    warning = f"THE MACHINE WAS NOT QUIET in {noisy} of {len(uses)} measurements: do not quote this run. "
    summary = (
        f"While an engine was measured, the other engines used at most {max(use.resting for use in uses):.2f} of a "
        f"core, this program {statistics.median(use.caller for use in uses):.2f} (median), foreign processes "
        f"{statistics.median(foreign):.2f} (median; at most {max(foreign):.2f})."
    )
    return warning + summary if noisy > _MOST_NOISY * len(uses) else summary


def print_run(run: Run, console: Console) -> None:
    """Prints all tables."""
    for outcome in run.outcomes:
        console.print(_to_table(tabulate_outcome(outcome), outcome.title))
        for note in outcome.notes:
            console.print(Text(note, style="dim"))
        console.print()
    console.print(_to_table(tabulate_bounds(run.bounds), "Bounds"))
    for properties in (run.machine, run.versions, run.settings):
        console.print(Text("; ".join(f"{name} {value}" for name, value in properties.items()), style="dim"))
    console.print(Text(describe_quiet(run.uses), style="dim"))


def to_markdown(run: Run, plot: str | None) -> str:
    """Returns the report as Markdown. `plot`: the file name of the picture beside the report."""
    lines = ["# The server beside other engines that run the same model", ""]
    lines += [
        "Written by `make bench`. Figures are medians over the rounds of one run, in which the engines took turns; the "
        f"least and greatest values stand in parentheses. The run took {run.minutes:.0f} minutes.",
        "",
    ]
    lines += [*_to_markdown_table(tabulate_bounds(run.bounds)), ""]
    if plot:
        lines += [f"![Throughput and latency against concurrent callers]({plot})", ""]
    for outcome in run.outcomes:
        lines += [f"## {outcome.title}", "", *_to_markdown_table(tabulate_outcome(outcome)), ""]
        lines += [line for note in outcome.notes for line in (note, "")]
    lines += ["## Machine and versions", ""]
    for properties in (run.machine, run.versions, run.settings):
        lines += [f"- {name}: {value}" for name, value in properties.items()]
    return "\n".join([*lines, "", describe_quiet(run.uses), ""])


def to_json(run: Run) -> dict[str, Any]:
    """Returns every value of every round as an object for JSON."""
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
