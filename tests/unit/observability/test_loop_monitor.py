"""The monitor of the event loop: its delay and the use of the cores over the last seconds."""

from __future__ import annotations

import pytest

from latimer_server.observability.loop_monitor import LoopMonitor


class Machine:
    """A clock, and the core seconds that batches have used."""

    def __init__(self) -> None:
        self.now = 100.0
        self.used = 0.0
        self.monitor = LoopMonitor(lambda: self.used, 2, lambda: self.now)

    def run(self, seconds: float, used: float = 0.0, late: float = 0.0) -> None:
        """Lets the loop wake up in time for a while, then `late` seconds too late."""
        for _ in range(round(4 * seconds)):
            self.now += 0.25
            self.used += 0.25 * used
            self.monitor.expect(self.now)
            self.monitor.tick()
        if late:
            self.monitor.expect(self.now)
            self.now += late
            self.monitor.tick()


def test_the_lag_is_the_longest_delay_of_the_last_15_seconds() -> None:
    machine = Machine()
    machine.run(5, late=0.7)
    machine.run(5, late=0.1)
    assert machine.monitor.lag_seconds == pytest.approx(0.7)
    machine.run(12)
    assert machine.monitor.lag_seconds == pytest.approx(0.1)


def test_a_loop_that_hangs_has_a_growing_lag() -> None:
    machine = Machine()
    machine.run(5)
    machine.now += 30
    assert machine.monitor.lag_seconds == pytest.approx(30)
    assert machine.monitor.overdue_seconds == pytest.approx(30)


def test_the_busy_ratio_is_the_share_of_the_cores_that_was_used() -> None:
    machine = Machine()
    machine.run(60, used=0)
    machine.run(20, used=1)
    assert machine.monitor.busy_ratio == pytest.approx(0.5, abs=0.01)
    machine.run(20, used=2)
    assert machine.monitor.busy_ratio == pytest.approx(1.0)


def test_a_monitor_without_ticks_reports_nothing() -> None:
    assert Machine().monitor.busy_ratio == 0.0
    assert Machine().monitor.lag_seconds == 0.0
