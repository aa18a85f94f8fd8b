"""Draws the board from a report of `benchmarks.service.on_call`: `on_call_plot.py REPORT.json BOARD.png`.

Not a picture of Grafana: the panels of deploy/grafana/latimer.json in their order, with the answers of a real
Prometheus to their queries. Runs in the separate environment of the peers, which has matplotlib.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

_BOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "latimer.json"
_COLUMNS = 4
_MOST_NAMES = 9
_UNITS = {"s": "seconds", "reqps": "a second", "wps": "words/s", "percentunit": "share", "bytes": "MB", "short": ""}


def main(report: Path, picture: Path) -> None:
    """Draws one axis for each panel."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    lines = json.loads(report.read_text("utf-8"))
    panels = [panel for panel in json.loads(_BOARD.read_text("utf-8"))["panels"] if panel["type"] != "row"]
    end = max(at for line in lines for at, _ in line["values"]) / 60
    rows = -(-len(panels) // _COLUMNS)
    figure, axes = pyplot.subplots(rows, _COLUMNS, figsize=(5 * _COLUMNS, 3.1 * rows), layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, panel in zip(axes.flat, panels, strict=False):
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for line in [line for line in lines if line["panel"] == panel["title"]]:
            scale = 1e-6 if unit == "bytes" else 1.0
            times = [at / 60 for at, _ in line["values"]]
            axis.plot(times, [scale * value for _, value in line["values"]], label=line["name"], linewidth=1.4)
        axis.set_title(panel["title"], fontsize=10, loc="left", fontweight="bold")
        axis.set_ylabel(_UNITS[unit], fontsize=8)
        axis.set_ylim(bottom=0)
        axis.set_xlim(0, end)
        axis.tick_params(labelsize=8)
        axis.grid(visible=True, alpha=0.3)
        names = axis.get_legend_handles_labels()[1]
        if names:
            axis.legend(fontsize=7, ncols=1 + (len(names) > _MOST_NAMES // 2), loc="upper left", framealpha=0.6)
    figure.supxlabel("minutes since the start of the trial")
    figure.savefig(picture, dpi=70)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: on_call_plot.py REPORT.json BOARD.png")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
