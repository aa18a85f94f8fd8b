"""Tests of rounds, spreads, percentiles and bounds."""

from __future__ import annotations

import pytest

from benchmarks.peers.figures import Bound, Outcome, Rounds, Spread, choose_best, percentile


def test_a_ratio_is_taken_within_each_round() -> None:
    slow_machine_in_the_second_round = Spread((400.0, 100.0)) / Spread((100.0, 25.0))
    assert slow_machine_in_the_second_round.values == (4.0, 4.0)


def test_figures_of_different_rounds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        Spread((1.0, 2.0)) / Spread((1.0,))


def test_a_figure_needs_a_round() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        Spread(())


@pytest.mark.parametrize(
    ("limit", "most", "kept"), [(4.0, False, True), (4.1, False, False), (4.0, True, True), (3.9, True, False)]
)
def test_a_bound_compares_the_median_with_its_limit(limit: float, most: bool, kept: bool) -> None:
    assert Bound("times", Spread((1.0, 4.0, 9.0)), limit, most=most).is_kept is kept


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_a_percentile_needs_a_value() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 0.5)


def test_rounds_become_rows_in_the_order_in_which_they_were_added() -> None:
    rounds = Rounds()
    for speed in (10.0, 30.0, 20.0):
        rounds.add("bulk", "ours", {"words/s": speed})
        rounds.add("bulk", "peer", {"words/s": speed / 2, "p50 ms": 1.0})
    outcome = Outcome("bulk", "Bulk", rounds.to_rows())
    assert [row.engine for row in outcome.rows] == ["ours", "peer"]
    assert outcome.columns == ["words/s", "p50 ms"]
    assert rounds.get("bulk", "ours", "words/s").median == 20.0


def test_the_best_peer_has_the_greatest_median() -> None:
    speeds = {"steady": Spread((10.0, 10.0, 10.0)), "lucky once": Spread((5.0, 6.0, 90.0))}
    assert choose_best(speeds, speeds.__getitem__) == "steady"
