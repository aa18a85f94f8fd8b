"""Draws throughput and latency against the number of concurrent callers.

    plot.py REPORT.json REPORT.svg

Runs in the separate environment of the peers, which has matplotlib. REPORT.json is the JSON of a run
(`benchmarks/.cache/reports/peers.json` after a full run).
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PANELS = (("words/s", "words per second"), ("p50 ms", "p50 latency, ms"), ("p99 ms", "p99 latency, ms"))
# Markers and dashes keep the lines apart without colours.
_STYLES = (("#0072b2", "o", "-"), ("#d55e00", "s", "--"), ("#009e73", "^", "-."), ("#cc79a7", "D", ":"))


def read_lines(report: dict[str, Any]) -> dict[str, list[tuple[int, dict[str, list[float]]]]]:
    """Returns for each engine the numbers of callers with their cells. Empty if the scenario `clients` was not run."""
    lines: dict[str, list[tuple[int, dict[str, list[float]]]]] = {}
    for outcome in report["outcomes"]:
        for row in outcome["rows"] if outcome["name"] == "clients" else ():
            lines.setdefault(row["engine"], []).append((int(row["case"].split()[0]), row["cells"]))
    return lines


def draw(lines: dict[str, list[tuple[int, dict[str, list[float]]]]], path: Path) -> None:
    """Draws three panels side by side: medians, with bars from the least to the greatest round."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "latimer", "svg.fonttype": "none", "font.family": "sans-serif"})
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for panel, (column, title) in zip(panels, _PANELS, strict=True):
        for (engine, points), (colour, marker, dashes) in zip(lines.items(), _STYLES, strict=False):
            middle = [statistics.median(cells[column]) for _, cells in points]
            below = [value - min(cells[column]) for value, (_, cells) in zip(middle, points, strict=True)]
            above = [max(cells[column]) - value for value, (_, cells) in zip(middle, points, strict=True)]
            callers = [count for count, _ in points]
            panel.errorbar(
                callers, middle, (below, above), label=engine, color=colour, marker=marker, linestyle=dashes, capsize=2
            )
        _finish(panel, title, [count for count, _ in next(iter(lines.values()))], logarithmic=column != "words/s")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _finish(panel: Any, title: str, callers: Sequence[int], *, logarithmic: bool) -> None:  # noqa: ANN401
    panel.set_title(title)
    panel.set_xlabel("concurrent callers")
    panel.set_xscale("log", base=2)
    panel.set_xticks(callers, [str(count) for count in callers])
    if logarithmic:
        ticker: Any = importlib.import_module("matplotlib.ticker")
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter("{x:,.0f}")
        panel.yaxis.set_minor_locator(ticker.NullLocator())
    else:
        panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    if engine_lines := read_lines(json.loads(source.read_text("utf-8"))):
        draw(engine_lines, target)
