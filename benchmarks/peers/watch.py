"""Measures which processes used the cores while an engine was measured.

These are the engine, the other engines (which should be idle), this program, and foreign processes. Without this check
a noisy machine looks like a slow engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.peers.engines import Engine
from benchmarks.peers.usage import read_cpu_seconds, read_machine_seconds


@dataclass(frozen=True)
class Use:
    """The average number of cores in use during one measurement; 1.0 is one core all the time.

    `own`: the measured engine. `resting`: the other engines. `caller`: this program. `foreign`: all other processes.
    """

    engine: str
    own: float
    resting: float
    caller: float
    foreign: float


class Watch:
    """Records the use of the cores during measurements."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.uses: list[Use] = []
        self._engines = tuple(engines)

    @contextmanager
    def over(self, engine: Engine) -> Iterator[None]:
        """Records the use of the cores during the block, in which `engine` is measured."""
        began, before = time.perf_counter(), self._read(engine)
        yield
        seconds = time.perf_counter() - began
        machine, own, resting, caller = (
            (late - early) / seconds for late, early in zip(self._read(engine), before, strict=True)
        )
        self.uses.append(Use(engine.name, own, resting, caller, max(machine - own - resting - caller, 0.0)))

    def _read(self, engine: Engine) -> tuple[float, float, float, float]:
        resting = [process for other in self._engines if other is not engine for process in other.process_ids]
        own = read_cpu_seconds(engine.process_ids)
        return read_machine_seconds(), own, read_cpu_seconds(resting), time.process_time()
