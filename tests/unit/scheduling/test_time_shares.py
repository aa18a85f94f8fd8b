"""Time shares: callers with waiting work get equal parts of a thread's time."""

from __future__ import annotations

from collections import Counter

from latimer_server.scheduling.time_shares import TimeShares


def run(shares: TimeShares, costs: dict[str, float], seconds: float) -> Counter[str]:
    """Returns the seconds of each caller when all always have waiting work, which costs each as much as `costs` say."""
    spent = Counter[str]()
    for caller in costs:
        shares.add(caller)
    while spent.total() < seconds:
        caller = str(shares.choose(costs))
        spent[caller] += costs[caller]  # type: ignore[assignment]
        shares.charge(caller, costs[caller])
    return spent


def test_work_of_different_length_gets_the_same_time() -> None:
    spent = run(TimeShares(), {"short": 0.1, "middle": 0.7, "long": 3.0}, 300.0)
    assert all(abs(seconds - 100.0) <= 3.0 for seconds in spent.values())


def test_a_caller_gains_nothing_from_the_time_in_which_it_had_no_work() -> None:
    shares = TimeShares()
    run(shares, {"busy": 1.0}, 1_000.0)
    spent = run(shares, {"busy": 1.0, "back": 1.0}, 100.0)
    assert abs(spent["back"] - spent["busy"]) <= 2.0


def test_a_caller_that_comes_back_at_once_keeps_what_it_used() -> None:
    shares = TimeShares()
    for caller in ("one", "two"):
        shares.add(caller)
    shares.charge(shares.choose(["one", "two"]), 5.0)
    shares.forget(["two"])
    shares.add("one")
    assert shares.choose(["one", "two"]) == "two"
