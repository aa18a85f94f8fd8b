"""Plays the person on call: `python -m benchmarks.service.on_call REPORT.json [--blind SEED]`.

A real server and a real Prometheus run through five minutes: usual load, one model that is slow, one caller beyond its
quota, and more requests than the server may hold. At the end of each minute the queries of the board are asked, and
those that tell the trouble are printed beside their values of the usual minute. REPORT.json gets the values of all
queries over the whole time, from which `on_call_plot.py` draws the board. Needs `apt-get install prometheus`.

With `--blind` three troubles are drawn at random and come in random order, each after a usual time. Nothing of them is
printed: they are in REPORT.truth.json, and the server's log in REPORT.log, so that a person who saw neither this file
nor that one can be asked what the board tells.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.service.load import SERVER
from benchmarks.service.prometheus import Prometheus, Query, Series, read_board, run_prometheus
from clients.python.examples.demo import wait_until_healthy
from latimer import AsyncClient, Client, LatimerError

_TEXTS = Path(__file__).parents[2] / "tests/data/handbook.en.txt"
# The queries of the board look back over one minute.
_PHASE_SECONDS = 70.0
_SCRAPE_SECONDS = 2.0
_MAX_REQUESTS = "48"
_QUOTA = "60"
_CHARACTERS = "3000"
_BLIND_TROUBLES = 3
# A query tells a trouble if its value differs from that of the usual minute by this factor, or is new.
_TELLING = 4.0
_LEAST = {"s": 0.05, "reqps": 0.2, "short": 2.0, "percentunit": 0.2, "wps": 1e9, "bytes": 1e12}


@dataclass(frozen=True)
class Line:
    """One line of a panel: values by seconds since the start."""

    panel: str
    unit: str
    name: str
    values: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Keys:
    """The secrets of the callers: without quotas, few requests a minute, few characters a minute, another scope."""

    usual: str
    requests: str
    characters: str
    summaries: str


@dataclass(frozen=True)
class Phase:
    """A time of the trial, and the load in it beside the usual one."""

    name: str
    load: Callable[[], Coroutine[Any, Any, None]] | None = None


class Callers:
    """Load on the server, in loops that end with the phase."""

    def __init__(self, address: str, keys: Keys) -> None:
        self._address = address
        self._usual = keys.usual
        self._keys = keys
        self._texts = _TEXTS.read_text("utf-8").splitlines()

    async def usual(self) -> None:
        """Sends some sentences a second in both directions, and a summary now and then."""
        async with AsyncClient(self._address, token=self._usual, timeout=60) as client:
            for number, text in enumerate(itertools.cycle(self._texts)):
                await _try(client.translate(text, source="en", target="pt"))
                await _try(client.translate("A casa velha foi vendida ontem.", source="pt", target="en"))
                if number % 20 == 0:
                    await _try(client.summarize(" ".join(self._texts[:20])))
                await asyncio.sleep(0.1)

    async def slow_to_english(self) -> None:
        """Sends to the model from Portuguese what takes it long: very wide beams over long sentences."""
        long = "A casa velha perto do rio foi vendida ontem por muito dinheiro a uma família de outra cidade, " * 6
        await self._send_wide_beams(long, "pt", "en")

    async def slow_from_english(self) -> None:
        """Sends to the model from English what takes it long."""
        long = "The old house near the river was sold yesterday for much money to a family of another town, " * 6
        await self._send_wide_beams(long, "en", "pt")

    async def _send_wide_beams(self, long: str, source: str, target: str) -> None:
        async with AsyncClient(self._address, token=self._usual, timeout=60) as client:
            for number in itertools.count():
                text = [f"{long} {number} {other}." for other in range(24)]
                await _try(client.translate(text, source=source, target=target, beam_size=8, alternative_count=8))

    async def many_requests(self) -> None:
        """Sends more calls than a key's quota allows."""
        await self._repeat_sentence(self._keys.requests, "A house.")

    async def many_characters(self) -> None:
        """Sends more characters than a key's quota allows, in few calls."""
        await self._repeat_sentence(self._keys.characters, " ".join(self._texts[:6])[:1_500])

    async def wrong_scope(self) -> None:
        """Sends texts to translate with a key for summaries."""
        await self._repeat_sentence(self._keys.summaries, "A house.")

    async def _repeat_sentence(self, token: str, text: str) -> None:
        async with AsyncClient(self._address, token=token, timeout=10) as client:
            while True:
                await _try(client.translate(text, source="en", target="pt"))
                await asyncio.sleep(0.15)

    async def full_queue(self) -> None:
        """Sends long texts from more callers than the server has places."""

        async def repeat(client: AsyncClient, number: int) -> None:
            for start in itertools.count(number):
                begin = 7 * start % 300
                text = " ".join(self._texts[begin : begin + 40])
                await _try(client.translate(f"{start} {text}", source="en", target="pt"))

        async with AsyncClient(self._address, token=self._usual, timeout=60) as client, asyncio.TaskGroup() as group:
            for number in range(2 * int(_MAX_REQUESTS)):
                group.create_task(repeat(client, number))


async def _try(call: Coroutine[Any, Any, object]) -> None:
    try:
        await call
    except LatimerError:
        await asyncio.sleep(0.05)


def main(report: Path, seed: int | None = None) -> None:
    """Runs the phases, prints what the board tells, and writes the report. With a seed it prints nothing of them."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        keys = folder / "keys.toml"
        secrets = Keys(
            usual=_make_key(keys, "usual"),
            requests=_make_key(keys, "limited", "--requests-per-minute", _QUOTA),
            characters=_make_key(keys, "reader", "--characters-per-minute", _CHARACTERS),
            summaries=_make_key(keys, "digest", scope="summarize"),
        )
        command = [SERVER, "serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--keys", str(keys)]
        command += ["--log-format", "json"]
        log = stack.enter_context((folder / "server.log").open("w+"))
        environment = os.environ | {"LATIMER_MAX_REQUESTS": _MAX_REQUESTS}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            try:
                assert process.stdout
                address, metrics = (process.stdout.readline().split()[-1] for _ in range(2))
                with Client(address, token=secrets.usual) as client:
                    wait_until_healthy(client)
                callers = Callers(address, secrets)
                phases = _list_phases(callers) if seed is None else _draw_phases(callers, seed)
                with run_prometheus(metrics, folder, seconds=_SCRAPE_SECONDS) as prometheus:
                    lines = asyncio.run(_run(callers, phases, prometheus, shows=seed is None))
            finally:
                process.terminate()
        if seed is None:
            log.seek(0)
            entries = map(json.loads, log)
            refused = Counter((line.get("reason"), line.get("key")) for line in entries if line.get("reason"))
            for (reason, key), count in refused.items():
                print(f"log lines with reason {reason}: {count} of key {key}")
        else:
            truth = [{"second": number * _PHASE_SECONDS, "trouble": phase.name} for number, phase in enumerate(phases)]
            report.with_suffix(".truth.json").write_text(json.dumps(truth, indent=1), "utf-8")
            shutil.copy(folder / "server.log", report.with_suffix(".log"))
    report.write_text(json.dumps([asdict(line) for line in lines]), "utf-8")


def _list_phases(callers: Callers) -> list[Phase]:
    return [
        Phase("usual load"),
        Phase("one model is slow", callers.slow_to_english),
        Phase("usual load again"),
        Phase("one caller is refused", callers.many_requests),
        Phase("the queue is full", callers.full_queue),
    ]


def _draw_phases(callers: Callers, seed: int) -> list[Phase]:
    """Returns three different troubles at random, each after a usual time."""
    troubles = [
        Phase("the model pt-en is slow", callers.slow_to_english),
        Phase("the model en-pt is slow", callers.slow_from_english),
        Phase("key limited: too many requests", callers.many_requests),
        Phase("key reader: too many characters", callers.many_characters),
        Phase("key digest: its scope does not allow translations", callers.wrong_scope),
        Phase("more requests than the server holds", callers.full_queue),
    ]
    drawn = random.Random(seed).sample(troubles, _BLIND_TROUBLES)
    return [phase for trouble in drawn for phase in (Phase("usual load"), trouble)] + [Phase("usual load")]


async def _run(callers: Callers, phases: Sequence[Phase], prometheus: Prometheus, *, shows: bool) -> list[Line]:
    began = time.time()
    usual = asyncio.create_task(callers.usual())
    before: dict[tuple[str, str], float] = {}
    for phase in phases:
        task = asyncio.create_task(phase.load()) if phase.load else None
        await asyncio.sleep(_PHASE_SECONDS)
        values = await asyncio.to_thread(_ask_board, prometheus)
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if shows:
                _print(phase.name, before, values)
        elif not before:
            before = values
    usual.cancel()
    await asyncio.gather(usual, return_exceptions=True)
    return await asyncio.to_thread(_read_lines, prometheus, began)


def _ask_board(prometheus: Prometheus) -> dict[tuple[str, str], float]:
    """Returns the present value of each line of the board, by panel and name."""
    return {
        (query.panel, _name(query, series)): series.values[0][1]
        for query in read_board()
        for series in prometheus.query(query.expression)
    }


def _print(phase: str, before: dict[tuple[str, str], float], now: dict[tuple[str, str], float]) -> None:
    units = {query.panel: query.unit for query in read_board()}
    table = Table("panel", "line", "usual", "now", title=phase)
    for (panel, name), value in now.items():
        old = before.get((panel, name), 0.0)
        if value == value and value > max(_TELLING * (old if old == old else 0.0), _LEAST[units[panel]]):
            table.add_row(panel, name, f"{old:.3g}", f"{value:.3g}")
    Console(width=110).print(table)


def _read_lines(prometheus: Prometheus, began: float) -> list[Line]:
    return [
        Line(query.panel, query.unit, _name(query, series), [(at - began, value) for at, value in series.values])
        for query in read_board()
        for series in prometheus.query_range(query.expression, began, time.time(), _SCRAPE_SECONDS)
    ]


def _name(query: Query, series: Series) -> str:
    """Returns the legend of a line: the template with the values of its labels."""
    name = query.legend
    for label, value in series.labels.items():
        name = name.replace(f"{{{{{label}}}}}", value)
    return name


def _make_key(keys: Path, name: str, *quotas: str, scope: str = "translate,summarize") -> str:
    command = [SERVER, "keys", "create", name, "--keys", str(keys), "--scope", scope, *quotas]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service.on_call")
    parser.add_argument("report", type=Path, help="the file to write")
    parser.add_argument("--blind", type=int, metavar="SEED", help="troubles at random, which are not printed")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _read_arguments()
    main(arguments.report, arguments.blind)
