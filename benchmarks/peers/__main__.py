"""Compares the server with every other engine that runs the same model, in one run: `python -m benchmarks.peers`.

    --quick            fewer and shorter measurements, to check that the benchmark works
    --only SCENARIO    one of footprint, bulk, single, clients, document, quality, summaries; may be repeated

Prints tables. A full run writes `report.md` and `report.svg` beside this module, and every round as JSON into
`benchmarks/.cache/reports/peers.json`. Other runs write all three files into `benchmarks/.cache/peers`. The exit status
is 0 even if a bound is missed: the report lists the missed bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.corpus import CACHE
from benchmarks.peers.bench import FULL, QUICK, Bench, Effort
from benchmarks.peers.contestants import list_peers, start_contestants
from benchmarks.peers.figures import Outcome
from benchmarks.peers.install import PROCESSES, Installation, install_peers
from benchmarks.peers.machine import describe_machine, describe_versions
from benchmarks.peers.report import PLOT, Run, print_run, to_json, to_markdown
from benchmarks.peers.scenarios.bulk import measure_bulk
from benchmarks.peers.scenarios.document import measure_document
from benchmarks.peers.scenarios.footprint import measure_footprint
from benchmarks.peers.scenarios.interactive import measure_clients
from benchmarks.peers.scenarios.quality import measure_quality
from benchmarks.peers.scenarios.single import measure_single
from benchmarks.peers.scenarios.summaries import measure_summaries
from benchmarks.peers.service import list_flags
from benchmarks.peers.texts import read_texts
from benchmarks.peers.watch import Watch

_FOOTPRINT = "footprint"
# Width of the tables if the output is no terminal.
_WIDTH = 140
# The order matters: `summaries` loads a model that must not be in memory during the others.
_SCENARIOS: dict[str, Callable[[Bench], Awaitable[Outcome]]] = {
    "bulk": measure_bulk,
    "single": measure_single,
    "clients": measure_clients,
    "document": measure_document,
    "quality": measure_quality,
    "summaries": measure_summaries,
}
_WARM_PARAGRAPHS = 20


async def measure(installed: Installation, wanted: Sequence[str], effort: Effort, console: Console) -> Run:
    """Measures the wanted scenarios, one after another."""
    began = time.perf_counter()
    # Without this handler a SIGTERM would leave the server running.
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    def log(message: str) -> None:
        console.print(
            f"{(time.perf_counter() - began) / 60:5.1f} min  {message}", style="dim", highlight=False, soft_wrap=True
        )

    outcomes, versions = [], dict(describe_versions())
    if _FOOTPRINT in wanted:
        outcomes.append(await measure_footprint(effort.starts, list(list_peers(installed).values()), log))
    watch = Watch(())
    left = [name for name in _SCENARIOS if name in wanted]
    if left:
        log("reading the texts, starting the engines")
        texts = read_texts(effort.paragraphs, effort.characters)
        async with start_contestants(installed, texts.paragraphs[:_WARM_PARAGRAPHS]) as contestants:
            watch = Watch(contestants.everyone)
            bench = Bench(contestants, texts, effort, watch, log)
            versions |= {server.name: server.described for server in contestants.servers}
            versions |= {name: peer.described for name, peer in contestants.peers.items()}
            for name in left:
                console.rule(name, align="left")
                outcomes.append(await _SCENARIOS[name](bench))
    settings = {"server flags that differ from the defaults": " ".join(list_flags()) or "none"}
    minutes = (time.perf_counter() - began) / 60
    return Run(describe_machine(), versions, settings, outcomes, watch.uses, minutes)


def write_run(run: Run, installed: Installation, folder: Path, data: Path) -> None:
    """Writes the report and its plot into `folder` and the JSON to `data`. The plot needs the scenario `clients`."""
    plot = folder / PLOT
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps(to_json(run), indent=1) + "\n", "utf-8")
    plot.unlink(missing_ok=True)
    subprocess.run([str(installed.python), str(PROCESSES / "plot.py"), str(data), str(plot)], check=True)
    (folder / "report.md").write_text(to_markdown(run, PLOT if plot.is_file() else None), "utf-8")


def main() -> None:
    """Reads the arguments, measures, prints the tables and writes the report."""
    names = [_FOOTPRINT, *_SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter measurements")
    parser.add_argument("--only", action="append", choices=names, metavar="SCENARIO", help=", ".join(names))
    arguments = parser.parse_args()
    installed = install_peers()
    progress = Console(stderr=True)
    run = asyncio.run(measure(installed, arguments.only or names, QUICK if arguments.quick else FULL, progress))
    print_run(run, Console(width=None if sys.stdout.isatty() else _WIDTH))
    if arguments.quick or arguments.only:
        write_run(run, installed, CACHE / "peers", CACHE / "peers" / "report.json")
    else:
        write_run(run, installed, Path(__file__).parent, CACHE / "reports" / "peers.json")


if __name__ == "__main__":
    main()
