"""Prints the delay of health checks while documents are translated: `python -m benchmarks.service.health_delay`.

Starts a server with the embedded models, checks its health while it is idle and then while it translates calls of 400
paragraphs, and prints median, 99th percentile and maximum of both in milliseconds, and the ratio of the percentiles.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from rich.console import Console

from latimer import Client

_PARAGRAPH = (
    "The town council of Halden voted on Tuesday to rebuild the old stone bridge over the river. "
    "The bridge was closed in March after engineers found cracks in two of its pillars. "
)
_CHECKS = 500
_PAUSE_SECONDS = 0.01


def check_health(client: Client) -> float:
    """Returns the seconds of one health check."""
    started = time.perf_counter()
    client.health()
    return time.perf_counter() - started


def measure_busy(client: Client) -> list[float]:
    """Returns the seconds of at least `_CHECKS` checks, all of them made while a call is in work."""
    delays: list[float] = []
    with ThreadPoolExecutor(1) as executor:
        for begin in itertools.count(step=400):
            # Each sentence is different: the server translates identical ones once.
            paragraphs = [_PARAGRAPH.replace(". ", f" in {number}. ") for number in range(begin, begin + 400)]
            call = executor.submit(client.translate, paragraphs, source="en", target="pt")
            while not call.done():
                delays.append(check_health(client))
                wait([call], _PAUSE_SECONDS)
            if len(delays) >= _CHECKS:
                return delays
    raise AssertionError


def describe(delays: list[float]) -> tuple[str, float]:
    """Returns a line of milliseconds, and the 99th percentile in seconds."""
    percentile = statistics.quantiles(delays, n=100)[98]
    milliseconds = [1e3 * value for value in (statistics.median(delays), percentile, max(delays))]
    return "p50 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms".format(*milliseconds), percentile


def main() -> None:
    """Prints both lines and the ratio."""
    command = [
        str(Path(sys.executable).with_name("latimer-server")),
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            with Client(process.stdout.readline().split()[-1], timeout=300) as client:
                while client.health() != "SERVING":
                    time.sleep(_PAUSE_SECONDS)
                idle, at_rest = describe([check_health(client) for _ in range(_CHECKS)])
                busy, at_work = describe(measure_busy(client))
        finally:
            process.terminate()
    Console().print(f"idle: {idle}\nbusy: {busy}\nratio of the 99th percentiles: {at_work / at_rest:.1f}")


if __name__ == "__main__":
    main()
