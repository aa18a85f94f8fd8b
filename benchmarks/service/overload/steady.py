"""Measures a server under twice its peak load: accepted calls must be in time, and the rest refused quickly.

Finds the peak with closed loops, then offers twice that rate at random times without waiting for answers. Calls are
paragraphs of real text with deadlines of a few seconds. Server, callers and health probe are three processes on one
machine, so the callers take part of its CPU, at the peak and beyond. The peak is measured before and after the
overload, so that noise on a shared machine affects both. Prints a table. Exits with 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass

import grpc
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.corpus import read_paragraphs
from benchmarks.service.load import Answer, Callers, Load, Server, quantile, run_probe, run_server

# Numbers of callers in the closed loops. The peak is the best throughput of them.
LEVELS = (16, 64)
# Deadlines of the calls in seconds.
DEADLINES = (2.0, 5.0, 10.0)
WORDS = range(20, 121)
OVERLOAD = 2.0
_SHOWN_SECONDS = 0.5
MOST_HEALTH_SECONDS = 0.050
MOST_LATE = 0.01
# A refusal may take as long as a health check and a little work on the text.
MOST_REFUSAL_SECONDS = 0.250
# Memory that an allocator may keep, as a share; measured from a fifth of the time to its end.
MOST_GROWTH = 0.05

OK, REFUSED, LATE = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED


@dataclass(frozen=True)
class Measurement:
    """The results. `peak`: before and after the overload. `probes`: seconds of health checks. `bytes_before` and
    `bytes_after`: resident memory of the server a fifth into the load and at its end."""

    peak: Load
    load: Load
    probes: list[float]
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class Bound:
    """A figure, its bound, and whether the bound holds."""

    name: str
    figure: str
    wanted: str
    holds: bool


async def measure(server: Server, texts: list[str], peak_seconds: float, seconds: float) -> Measurement:
    """Measures the peak, then twice that load, then the peak again."""
    async with Callers(server.address, texts) as callers:
        with Progress(transient=True) as progress:
            total = (len(LEVELS) + 1) * peak_seconds + seconds
            task = progress.add_task("finding the peak ...", total=total)
            await callers.keep_calling(LEVELS[-1], min(5.0, peak_seconds))  # warms up
            loads = {}
            for count in LEVELS:
                loads[count] = await callers.keep_calling(count, peak_seconds)
                progress.advance(task, peak_seconds)
            best = max(loads, key=lambda count: loads[count].words_per_second)
            peak = loads[best]
            rate = OVERLOAD * len(peak.answers) / peak.seconds
            memory: list[int] = []
            shown = 0.0

            def note(elapsed: float) -> None:
                nonlocal shown
                if elapsed < shown + _SHOWN_SECONDS:  # drawing takes CPU time from the server
                    return
                shown = elapsed
                progress.update(task, completed=len(LEVELS) * peak_seconds + elapsed)
                if elapsed > seconds / 5 and not memory:
                    memory.append(server.read_resident_bytes())

            progress.update(task, description=f"{rate:.0f} calls a second for {seconds:.0f} s ...")
            with run_probe(server.address) as probes:
                load = await callers.call_at_rate(rate, seconds, DEADLINES, note)
                memory.append(server.read_resident_bytes())
            progress.update(task, description="the peak again ...")
            after = await callers.keep_calling(best, peak_seconds)
            peak = Load(peak.answers + after.answers, peak.seconds + after.seconds)
    return Measurement(peak, load, probes, memory[0], memory[-1])


def check(found: Measurement) -> list[Bound]:
    """Compares the figures with their bounds."""
    load = found.load
    accepted, refused = load.of(OK, LATE), load.of(REFUSED)
    others = len(load.answers) - len(accepted) - len(refused)
    late = load.count(LATE) / max(1, len(accepted))
    used = quantile([answer.seconds / answer.deadline for answer in accepted], 0.99)
    refusal = quantile([answer.seconds for answer in refused], 0.99)
    health = quantile(found.probes, 0.99)
    growth = found.bytes_after / found.bytes_before - 1
    return [
        Bound("accepted, late", f"{late:.2%}", f"at most {MOST_LATE:.0%}", late <= MOST_LATE),
        Bound("accepted, p99 of the deadline used", f"{used:.0%}", "at most 100%", used <= 1),
        Bound(
            "refused, p99",
            f"{1_000 * refusal:.0f} ms",
            f"at most {1_000 * MOST_REFUSAL_SECONDS:.0f} ms",
            refusal <= MOST_REFUSAL_SECONDS,
        ),
        Bound("ended otherwise", str(others), "0", others == 0),
        Bound(
            "health, p99",
            f"{1_000 * health:.1f} ms",
            f"at most {1_000 * MOST_HEALTH_SECONDS:.0f} ms",
            health <= MOST_HEALTH_SECONDS,
        ),
        Bound("memory, growth", f"{growth:+.1%}", f"at most {MOST_GROWTH:.0%}", growth <= MOST_GROWTH),
    ]


def describe(found: Measurement) -> Table:
    """Returns a table of the offered, accepted and refused calls."""
    load, peak = found.load, found.peak
    table = Table("", "calls a second", "words a second", "p50", "p99", box=None)

    def add(name: str, answers: list[Answer], seconds: float) -> None:
        times = [answer.seconds for answer in answers]
        words = sum(answer.words for answer in answers) / seconds
        row = (
            f"{len(answers) / seconds:.1f}",
            f"{words:,.0f}",
            f"{quantile(times, 0.5):.3f} s",
            f"{quantile(times, 0.99):.3f} s",
        )
        table.add_row(name, *row)

    add("peak, closed loops", peak.answers, peak.seconds)
    add("offered twice that", load.answers, load.seconds)
    for deadline in DEADLINES:
        accepted = [answer for answer in load.of(OK, LATE) if answer.deadline == deadline]
        add(f"accepted, deadline {deadline:.0f} s", accepted, load.seconds)
    add("refused", load.of(REFUSED), load.seconds)
    table.add_row("words a second, of the peak", "", f"{load.words_per_second / peak.words_per_second:.0%}")
    table.add_row("resident MB, before and after", f"{found.bytes_before / 1e6:.0f}", f"{found.bytes_after / 1e6:.0f}")
    return table


def main() -> int:
    """Prints the tables. Returns 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="seconds of twice the peak load")
    parser.add_argument("--peak-seconds", type=float, default=20.0, help="seconds of each closed loop")
    arguments = parser.parse_args()
    texts = [text for text in read_paragraphs("en-US") if len(text.split()) in WORDS]
    console = Console()
    with run_server("--segment-cache-mb", "0") as server:
        found = asyncio.run(measure(server, texts, arguments.peak_seconds, arguments.seconds))
    console.print(describe(found))
    bounds = Table("bound", "measured", "limit", "", box=None)
    checked = check(found)
    for bound in checked:
        bounds.add_row(bound.name, bound.figure, bound.wanted, "holds" if bound.holds else "BROKEN")
    console.print(bounds)
    return 0 if all(bound.holds for bound in checked) else 1


if __name__ == "__main__":
    sys.exit(main())
