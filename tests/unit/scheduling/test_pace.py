"""What is learnt of how long batches take."""

from __future__ import annotations

import pytest

from latimer_server.scheduling.cost_model import Drain, Pace


def test_nothing_is_expected_before_anything_ran() -> None:
    assert Pace().estimate(4, 10) == 0.0
    assert Drain().rate == 0.0


def test_a_batch_takes_what_those_of_about_its_rows_took_for_each_token_of_the_longest() -> None:
    pace = Pace()
    pace.learn(1, 10, 0.1)
    pace.learn(16, 10, 0.4)
    assert pace.estimate(1, 20) == pytest.approx(0.2)
    assert pace.estimate(20, 5) == pytest.approx(0.2)


def test_fewer_rows_than_ever_ran_are_expected_to_take_as_little_as_they_can() -> None:
    pace = Pace()
    pace.learn(16, 10, 1.6)
    assert pace.estimate(1, 10) == pytest.approx(0.1)


def test_more_rows_than_ever_ran_are_expected_to_take_longer_but_not_in_proportion() -> None:
    pace = Pace()
    pace.learn(1, 10, 0.1)
    assert 0.1 < pace.estimate(16, 10) < 1.6


def test_a_pace_follows_what_runs() -> None:
    pace = Pace()
    pace.learn(1, 10, 60.0)
    for _ in range(40):
        pace.learn(1, 10, 0.1)
    assert pace.estimate(1, 10) == pytest.approx(0.1, rel=0.01)


def test_a_queue_drains_at_what_leaves_it_while_more_waits_than_a_batch_takes() -> None:
    drain = Drain()
    for second in range(10, 40):
        drain.note(100, float(second), full=True, waiting=True)
    assert drain.rate == pytest.approx(100.0)
    drain.note(7, 40.0, full=False, waiting=False)
    drain.note(100, 9_000.0, full=True, waiting=True)  # idle in between: says nothing
    assert drain.rate == pytest.approx(100.0)
