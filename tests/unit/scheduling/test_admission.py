"""Tests of the admission of requests."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from latimer_server.core.errors import Overloaded
from latimer_server.scheduling import Admission


def test_requests_past_the_bound_are_refused_at_once() -> None:
    admission = Admission(2, retry_after=3.0)
    with admission.admit(), admission.admit(), pytest.raises(Overloaded) as refused, admission.admit():
        pass
    assert refused.value.retry_after == 3.0
    with admission.admit():
        assert admission.active == 1


def test_one_caller_cannot_occupy_all_places() -> None:
    admission = Admission(16)
    with ExitStack() as held:
        for _ in range(14):
            held.enter_context(admission.admit("greedy"))
        with pytest.raises(Overloaded, match="14 of them of this caller"), admission.admit("greedy"):
            pass
        held.enter_context(admission.admit("polite"))
        held.enter_context(admission.admit())
        with pytest.raises(Overloaded, match="16 requests"), admission.admit("late"):
            pass
    with admission.admit("greedy"):
        assert admission.active == 1


def test_any_number_of_busy_callers_leaves_places_to_new_ones() -> None:
    admission = Admission(256)
    with ExitStack() as held:
        refused = 0
        for _ in range(10):
            for caller in range(40):
                try:
                    held.enter_context(admission.admit(caller))
                except Overloaded:
                    refused += 1
        assert refused == 400 - 224
        for caller in range(32):
            held.enter_context(admission.admit(f"new {caller}"))
        with pytest.raises(Overloaded, match="256 requests"), admission.admit("late"):
            pass


def test_one_caller_may_occupy_all_places_if_there_are_few() -> None:
    admission = Admission(1)
    with admission.admit("only"), pytest.raises(Overloaded), admission.admit("other"):
        pass


def test_no_state_is_kept_of_callers_without_requests() -> None:
    admission = Admission(8)
    for caller in range(10_000):
        with admission.admit(caller):
            pass
    assert not admission._of_caller
    assert admission.active == 0
