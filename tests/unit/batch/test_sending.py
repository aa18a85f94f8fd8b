"""The queue between a batch and its servers: no text is lost, and a message never exceeds its limits."""

from __future__ import annotations

from queue import SimpleQueue

import pytest

from latimer.batch.results import SentUnit, UnitResult
from latimer.batch.sending import (
    GROUP_CHARACTERS,
    GROUP_UNITS,
    Flight,
    GroupQueue,
    Results,
    find_fault,
    pack_units,
)
from latimer.errors import ConnectionFailedError, InvalidArgumentError, LatimerError

DOWN = ConnectionFailedError("down", code="UNAVAILABLE")


def units(*texts: str) -> list[SentUnit]:
    return [SentUnit(ticket, text) for ticket, text in enumerate(texts)]


def open_queue(workers: int) -> tuple[GroupQueue, Results]:
    results: Results = SimpleQueue()
    return GroupQueue(results, workers), results


def test_a_group_stays_within_the_limits_and_a_long_text_goes_alone() -> None:
    long = "x" * (GROUP_CHARACTERS + 1)
    texts = ["a"] * (GROUP_UNITS + 1) + [long, "b", "y" * GROUP_CHARACTERS]
    groups = list(pack_units(units(*texts)))
    assert [len(group) for group in groups] == [GROUP_UNITS, 1, 1, 1, 1]
    assert [unit.text for group in groups for unit in group] == texts


def test_the_units_of_a_call_that_ends_go_to_the_next_call_first() -> None:
    queue, _ = open_queue(2)
    queue.put(units("a", "b"))
    queue.put([SentUnit(9, "later")])
    first = Flight()
    taken = queue.take(first, 100)
    assert taken is not None
    del first.units["0"]  # has its result
    queue.land(first)
    assert queue.take(first, 100) is None  # a call that has ended takes nothing
    assert queue.take(Flight(), 100) == [SentUnit(1, "b")]


def test_an_error_that_no_retry_helps_ends_the_batch_at_once() -> None:
    queue, results = open_queue(2)
    refused = InvalidArgumentError("no such option", code="INVALID_ARGUMENT")
    assert not queue.fail(0, refused)
    assert results.get_nowait() is refused
    assert not queue.wait()


def test_a_batch_ends_only_when_the_servers_of_all_workers_fail() -> None:
    queue, results = open_queue(2)
    for _ in range(3):
        assert queue.fail(0, DOWN)
    assert queue.is_lost(0)
    assert not queue.is_lost(1)
    queue.deliver(1, [(1, UnitResult("done"))])
    assert results.get_nowait() == [(1, UnitResult("done"))]
    assert results.empty()


def test_an_address_that_never_answered_is_given_up_soon() -> None:
    queue, results = open_queue(1)
    assert [queue.fail(0, DOWN) for _ in range(3)] == [True, True, False]
    assert isinstance(results.get_nowait(), LatimerError)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ""),
        ("naïve 猫", ""),
        ("ab\ud800", "half of a surrogate pair at character 3"),
        ("x" * 1_000_001, "1,000,001 characters"),
    ],
)
def test_a_text_that_no_message_can_contain_is_known_before(text: str, fault: str) -> None:
    assert fault in find_fault(text)
    assert bool(fault) == bool(find_fault(text))
