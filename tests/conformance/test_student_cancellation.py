"""Tests of cancelled batches: the C++ engine polls at the right steps, and returns the tokens decoded until then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.core.poll_time import Cancellation, PollTime
from tests.conformance.conftest import (
    get_native,
    needs_native,
    never,
)

OPTIONS = DecodingOptions()


@needs_native
def test_a_cancelled_batch_stops(students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]) -> None:
    native = get_native(students["en"])
    longest = max(rows, key=len)
    whole = native.search([longest], OPTIONS, never)[0]
    assert len(whole.ids) > 32
    cut = native.search([longest], OPTIONS, lambda: True)[0]
    assert cut.ids == whole.ids[:1]
    assert cut.truncated


class Polls:
    """A cancellation that counts its polls, and that the poll with the number `last` cancels."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def __call__(self) -> bool:
        self.count += 1
        return self.count == self._last


@needs_native
@pytest.mark.parametrize("options", [OPTIONS, DecodingOptions(beam_size=2)], ids=["greedy", "beam"])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_batch_ends_with_the_step_in_which_its_poll_time_comes(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds], options: DecodingOptions, steps: int
) -> None:
    native = get_native(students["en"])
    batch = [min((row for row in rows if len(row) > 12), key=len)] * 16  # one group of sources
    polls, due = Polls(steps), PollTime()
    due.set_after(0)
    stopped = native.search(batch, options, Cancellation(polls, due))
    assert polls.count == steps
    assert {len(hypothesis.ids) for hypothesis in stopped} == {steps}


@needs_native
def test_a_batch_without_a_poll_time_polls_after_some_steps(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    native = get_native(students["en"])
    polls, late = Polls(0), PollTime()
    longest = max(rows, key=len)
    whole = native.search([longest], OPTIONS, Cancellation(polls, late))
    assert whole == native.search([longest], OPTIONS, never)
    assert polls.count == len(whole[0].ids) // 32
    late.set_after(3600)
    again = Polls(0)
    assert native.search([longest], OPTIONS, Cancellation(again, late)) == whole
    assert again.count == polls.count


@needs_native
def test_a_cancelled_batch_stops_after_a_group_of_sources(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    native = get_native(students["en"])
    polls = 0

    def cancelled() -> bool:
        nonlocal polls
        polls += 1
        return True

    batch = sorted(rows, key=len)[-32:]
    assert sum(map(len, batch)) > 3 * 256
    assert all(not hypothesis.ids and hypothesis.truncated for hypothesis in native.search(batch, OPTIONS, cancelled))
    assert polls == 1
