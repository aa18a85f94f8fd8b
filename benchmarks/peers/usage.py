"""Reads the resident memory and CPU seconds of processes from Linux's /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def list_children(process_id: int) -> list[int]:
    """Returns the ids of all descendants of a process."""
    found: list[int] = []
    for path in (_PROC / str(process_id) / "task").glob("*/children"):
        for child in map(int, path.read_text("ascii").split()):
            found += [child, *list_children(child)]
    return found


def read_proportional_bytes(process_ids: Iterable[int]) -> int:
    """Returns the proportional set size: a page that n processes share counts as 1/n in each."""
    return sum(_read_rollup(process_id, "Pss") for process_id in process_ids)


def read_resident_bytes(process_ids: Iterable[int]) -> int:
    """Returns the resident set size: a shared page counts in each process."""
    return sum(_read_rollup(process_id, "Rss") for process_id in process_ids)


def read_cpu_seconds(process_ids: Iterable[int]) -> float:
    """Returns the CPU seconds of the processes on all cores, in user and kernel mode."""
    return sum(_read_ticks(process_id) for process_id in process_ids) / _TICKS


def read_machine_seconds() -> float:
    """Returns the CPU seconds of all cores and processes since the machine was started, without idle time and time
    spent waiting for a disk."""
    user, nice, system, _, _, irq, softirq, steal = map(int, (_PROC / "stat").read_text("ascii").split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _read_rollup(process_id: int, wanted: str) -> int:
    for line in (_PROC / str(process_id) / "smaps_rollup").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name == wanted:
            return int(value.split()[0]) * 1_024
    return 0


def _read_ticks(process_id: int) -> int:
    try:
        line = (_PROC / str(process_id) / "stat").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):  # the child has just ended
        return 0
    # The name, in parentheses, may contain spaces and parentheses.
    fields = line.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
