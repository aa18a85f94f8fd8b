"""What is learnt of how long batches take."""

from __future__ import annotations

import pytest

from latimer_server.scheduling.cost_model import BatchCostModel, DrainRate


def test_nothing_is_expected_before_anything_ran() -> None:
    assert BatchCostModel().estimate(4, 10) == 0.0
    assert DrainRate().rate == 0.0


def test_a_batch_takes_what_those_of_about_its_rows_took_for_each_token_of_the_longest() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(1, 10, 0.1)
    cost_model.learn(16, 10, 0.4)
    assert cost_model.estimate(1, 20) == pytest.approx(0.2)
    assert cost_model.estimate(20, 5) == pytest.approx(0.2)


def test_fewer_rows_than_ever_ran_are_expected_to_take_as_little_as_they_can() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(16, 10, 1.6)
    assert cost_model.estimate(1, 10) == pytest.approx(0.1)


def test_more_rows_than_ever_ran_are_expected_to_take_longer_but_not_in_proportion() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(1, 10, 0.1)
    assert 0.1 < cost_model.estimate(16, 10) < 1.6


def test_a_pace_follows_what_runs() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(1, 10, 60.0)
    for _ in range(40):
        cost_model.learn(1, 10, 0.1)
    assert cost_model.estimate(1, 10) == pytest.approx(0.1, rel=0.01)


def test_a_queue_drains_at_what_leaves_it_while_more_waits_than_a_batch_takes() -> None:
    drain = DrainRate()
    for second in range(10, 40):
        drain.note(100, float(second), full=True, waiting=True)
    assert drain.rate == pytest.approx(100.0)
    drain.note(7, 40.0, full=False, waiting=False)
    drain.note(100, 9_000.0, full=True, waiting=True)  # idle in between: says nothing
    assert drain.rate == pytest.approx(100.0)
