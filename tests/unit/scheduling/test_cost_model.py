"""Tests of learning how long batches take."""

from __future__ import annotations

import pytest

from latimer_server.scheduling.cost_model import BatchCostModel, DrainRate


def test_there_is_no_estimate_before_the_first_batch() -> None:
    assert BatchCostModel().estimate(4, 10) == 0.0
    assert DrainRate().rate == 0.0


def test_the_estimate_follows_batches_of_about_as_many_rows_per_token_of_the_longest_row() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(1, 10, 0.1)
    cost_model.learn(16, 10, 0.4)
    assert cost_model.estimate(1, 20) == pytest.approx(0.2)
    assert cost_model.estimate(20, 5) == pytest.approx(0.2)


def test_the_estimate_for_fewer_rows_than_measured_is_a_lower_bound() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(16, 10, 1.6)
    assert cost_model.estimate(1, 10) == pytest.approx(0.1)


def test_the_estimate_for_more_rows_than_measured_grows_less_than_in_proportion() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(1, 10, 0.1)
    assert 0.1 < cost_model.estimate(16, 10) < 1.6


def test_the_estimate_follows_new_measurements() -> None:
    cost_model = BatchCostModel()
    cost_model.learn(1, 10, 60.0)
    for _ in range(40):
        cost_model.learn(1, 10, 0.1)
    assert cost_model.estimate(1, 10) == pytest.approx(0.1, rel=0.01)


def test_the_drain_rate_is_measured_while_full_batches_leave_and_pieces_wait() -> None:
    drain = DrainRate()
    for second in range(10, 40):
        drain.note(100, float(second), full=True, waiting=True)
    assert drain.rate == pytest.approx(100.0)
    drain.note(7, 40.0, full=False, waiting=False)
    drain.note(100, 9_000.0, full=True, waiting=True)  # idle in between, so not counted
    assert drain.rate == pytest.approx(100.0)
