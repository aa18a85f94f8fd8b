"""Runs servers and batches as processes of their own, and measures the batches."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_SAMPLE_SECONDS = 0.25
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Run:
    """A batch that has ended.

    `seconds`: of the wall clock. `cpu_seconds`: of the client. `memory`: resident megabytes of the client, sampled four
    times a second.
    """

    seconds: float
    cpu_seconds: float
    memory: Sequence[float]


@contextmanager
def run_program(module: str, *arguments: str) -> Iterator[str]:
    """Runs a module as a server, and yields the line that it prints."""
    process = start_program(module, *arguments)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.terminate()
        process.communicate()


def start_program(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a module of the benchmarks in the repository's root."""
    return subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, cwd=_ROOT)


def start_batch(source: Path, target: Path, address: str, *more: str) -> subprocess.Popen[bytes]:
    """Starts a batch from English to Portuguese.

    Python may write bytecode, because an installed package has it and a clone under PYTHONDONTWRITEBYTECODE would not.
    """
    command = ["batch", "translate", str(source), "--from", "en", "--to", "pt", "--out", str(target)]
    return subprocess.Popen(
        [sys.executable, "-m", "latimer", *command, "--address", address, *more],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )


def measure_batch(source: Path, target: Path, address: str, *more: str) -> Run:
    """Runs a batch to its end. Exits if it fails."""
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    process = start_batch(source, target, address, *more)
    memory: list[float] = []
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, memory, ended))
    sampler.start()
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    ended.set()
    sampler.join()
    if process.returncode != 0:
        sys.exit(f"the batch ended with {process.returncode}: {errors.decode()}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, memory)


def _sample(pid: int, memory: list[float], ended: threading.Event) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while not ended.wait(_SAMPLE_SECONDS):
        try:
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        if resident:
            memory.append(resident * page / _MEGABYTE)
