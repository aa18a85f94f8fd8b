"""Runs Debian's Prometheus with the rules of deploy/prometheus, and asks it the queries of the board.

Needs the programs `prometheus` and `promtool` (`apt-get install prometheus`).
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = DEPLOY / "grafana" / "latimer.json"
_RULES = ("recording.yml", "alerts.yml")
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Query:
    """A query of the board: the title and unit of its panel, its expression and the template of its legend."""

    panel: str
    unit: str
    expression: str
    legend: str


@dataclass(frozen=True)
class Series:
    """The answer to a query: labels, and values by time in seconds since the epoch."""

    labels: Mapping[str, str]
    values: tuple[tuple[float, float], ...]


class Prometheus:
    """A running Prometheus. `url`: of its API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[Series]:
        """Returns the present value of each series of an expression. Raises `ValueError` with Prometheus' message if it
        refuses the expression."""
        result = self._ask("query", query=expression)["result"]
        return [Series(found["metric"], (_to_point(found["value"]),)) for found in result]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Returns the values between two times, in seconds since the epoch, every `step` seconds."""
        result = self._ask("query_range", query=expression, start=str(start), end=str(end), step=str(step))["result"]
        return [Series(found["metric"], tuple(map(_to_point, found["values"]))) for found in result]

    def list_alerts(self) -> list[Mapping[str, Any]]:
        """Returns the alerts that are pending or firing."""
        alerts: list[Mapping[str, Any]] = self._ask("alerts")["alerts"]
        return alerts

    def wait_for(self, holds: Callable[[Prometheus], object], seconds: float) -> None:
        """Waits until `holds` is true. Raises `TimeoutError` after so many seconds."""
        end = time.monotonic() + seconds
        while not holds(self):
            if time.monotonic() > end:
                raise TimeoutError(f"did not come true in {seconds:g} s")
            time.sleep(0.2)

    def _ask(self, what: str, **arguments: str) -> Any:  # noqa: ANN401 (JSON)
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{json.load(error).get('error')}: {arguments.get('query')}") from error


def find_programs() -> tuple[str, str] | None:
    """Returns the paths of `prometheus` and `promtool`; None if they are not installed."""
    paths = [shutil.which(name) for name in ("prometheus", "promtool")]
    return (paths[0], paths[1]) if paths[0] and paths[1] else None


def read_board() -> list[Query]:
    """Returns all queries of the board."""
    board = json.loads(BOARD.read_text("utf-8"))
    return [
        Query(panel["title"], panel["fieldConfig"]["defaults"]["unit"], target["expr"], target["legendFormat"])
        for panel in board["panels"]
        if panel["type"] != "row"
        for target in panel["targets"]
    ]


@contextmanager
def run_prometheus(target: str, folder: Path, *, seconds: float = 1.0, hold: str = "") -> Iterator[Prometheus]:
    """Runs a Prometheus that scrapes `target` every `seconds` seconds, with the configuration of deploy/prometheus.

    `folder`: for its data. `hold`: replaces how long each alert must hold before it fires, such as `1s`.
    """
    programs = find_programs()
    if programs is None:
        raise FileNotFoundError("prometheus is not installed: apt-get install prometheus")
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    interval = f"{round(1_000 * seconds)}ms"
    configuration["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), interval)
    configuration["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), "utf-8")
    for name in _RULES:
        rules = (DEPLOY / "prometheus" / name).read_text("utf-8").replace("interval: 15s", f"interval: {interval}")
        if hold:
            rules = re.sub(r"for: \w+", f"for: {hold}", rules)
        (folder / name).write_text(rules, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                programs[0],
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        prometheus = Prometheus(f"http://{address}")
        prometheus.wait_for(lambda p: _is_ready(p.url, process), _START_SECONDS)
        yield prometheus
    finally:
        process.terminate()
        process.wait()


def _is_ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError("prometheus ended; see the file `log` in its folder")
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _to_point(value: tuple[float, str]) -> tuple[float, float]:
    return float(value[0]), float(value[1])
