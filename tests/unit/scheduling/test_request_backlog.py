"""The request backlog: a request that would end too late beside the accepted ones is refused when it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import ExitStack, suppress

import pytest

from latimer_server.core.errors import DeadlineExceeded, Overloaded
from latimer_server.scheduling import BatchQueue, count_characters, count_tokens, estimate_characters
from latimer_server.scheduling.request_backlog import FIXED_CHARACTERS, RequestBacklog, TokenRatio
from tests.unit.scheduling.machines import GREEDY, HeldExecutor, Machine, held_queue, run_all

SIZE = 600
# Code points per second: one request of `SIZE`, with its fixed cost.
RATE = float(SIZE + FIXED_CHARACTERS)
LEFT = 1_000.0


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_backlog(clock: Clock | None = None) -> RequestBacklog:
    """A backlog of a model with one token for each code point."""
    backlog = RequestBacklog(clock or Clock())
    backlog.note_encoding(1_000, 1_000)
    return backlog


def accept(backlog: RequestBacklog, stack: ExitStack, caller: Hashable, size: int, seconds: float) -> bool:
    """Counts a request if it would end within `seconds`."""
    if backlog.estimate_seconds(size, caller, RATE, seconds):
        return False
    stack.enter_context(backlog.hold(size, caller))
    return True


def test_of_a_burst_of_one_caller_those_are_accepted_that_end_in_time() -> None:
    backlog = make_backlog()
    with ExitStack() as stack:
        accepted = [accept(backlog, stack, "caller", SIZE, 4.0) for _ in range(60)]
    assert accepted == [True] * 4 + [False] * 56


def test_a_request_of_repeated_sentences_counts_only_what_the_model_computes() -> None:
    backlog, document = make_backlog(), 100 * SIZE
    with ExitStack() as stack:
        held = [stack.enter_context(backlog.hold(document, number)) for number in range(12)]
        before = backlog.estimate_seconds(document, "other", RATE, 1.0)
        for request in held:
            request.settle(SIZE)
        after = backlog.estimate_seconds(document, "other", RATE, 1.0)
    assert before == pytest.approx(13 * (document + FIXED_CHARACTERS) / RATE)
    assert after == pytest.approx((document + 12 * SIZE + 13 * FIXED_CHARACTERS) / RATE)


def test_a_request_is_expected_to_be_like_the_latest_ones_of_its_caller() -> None:
    backlog, document = make_backlog(), 100 * SIZE
    for _ in range(20):
        with backlog.hold(document, "repeats") as request:
            request.settle(0)
    with ExitStack() as stack:
        stack.enter_context(backlog.hold(document, "repeats"))
        stack.enter_context(backlog.hold(document, "unknown"))
        seconds = backlog.estimate_seconds(document, "other", RATE, 1.0)
    assert seconds == pytest.approx((2 * document + 3 * FIXED_CHARACTERS) / RATE, rel=0.01)


def test_a_request_counts_in_full_again_once_it_is_segmented() -> None:
    backlog, document = make_backlog(), 100 * SIZE
    with backlog.hold(document, "one") as request:
        request.settle(0)
    with backlog.hold(document, "one") as request:
        request.settle(document)
        assert backlog.estimate_seconds(document, "two", RATE, 1.0) == pytest.approx(
            2 * (document + FIXED_CHARACTERS) / RATE
        )


def test_a_request_is_never_counted_for_more_than_at_first() -> None:
    backlog = make_backlog()
    with ExitStack() as stack:
        held = stack.enter_context(backlog.hold(SIZE, "one"))
        before = backlog.estimate_seconds(SIZE, "two", RATE, 0.1)
        held.settle(10 * SIZE)
        assert backlog.estimate_seconds(SIZE, "two", RATE, 0.1) == before
    assert not backlog.estimate_seconds(SIZE, "two", RATE, 0.1)


def test_of_a_burst_of_many_callers_those_are_accepted_that_end_in_time() -> None:
    backlog = make_backlog()
    with ExitStack() as stack:
        accepted = [accept(backlog, stack, number, SIZE, 4.0) for number in range(60)]
    assert sum(accepted) == 4


def test_a_short_request_is_accepted_beside_the_book_of_another_caller() -> None:
    backlog = make_backlog()
    with ExitStack() as stack:
        assert accept(backlog, stack, "book", 1_000_000, LEFT)
        assert accept(backlog, stack, "sentence", SIZE, 2.0)  # both take turns: two requests in two seconds
        assert not accept(backlog, stack, "sentence", SIZE, 2.0)
        assert not accept(backlog, stack, "book", SIZE, 2.0)


def test_a_request_that_ends_shows_that_the_model_is_not_as_slow_as_its_last_batches() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    slow = RATE / 100  # after texts of one word a line
    with ExitStack() as stack:
        stack.enter_context(backlog.hold(SIZE, "other"))
        assert backlog.estimate_seconds(SIZE, "caller", slow, 3.0) > 100
    with backlog.hold(SIZE, "other"):
        backlog.note_computed(SIZE)
        clock.now += 0.1
    with ExitStack() as stack:
        stack.enter_context(backlog.hold(SIZE, "other"))
        assert not backlog.estimate_seconds(SIZE, "caller", slow, 3.0)
        clock.now += 10
        assert backlog.estimate_seconds(SIZE, "caller", slow, 3.0) > 100


def test_short_pieces_count_as_longer_ones() -> None:
    assert [count_tokens(range(length)) for length in (1, 8, 30)] == [8, 8, 30]
    assert [count_characters("a" * length) for length in (1, 24, 100)] == [24, 24, 100]
    assert estimate_characters("a\n" * 1_000) == 24 * 1_001
    assert estimate_characters("a" * 100) == estimate_characters("a\n" + "a" * 98) == 100
    assert estimate_characters("\n") == 24
    assert estimate_characters("") == 0


def test_requests_that_have_ended_do_not_count() -> None:
    backlog = make_backlog()
    for _ in range(3):
        with ExitStack() as stack:
            assert accept(backlog, stack, "caller", 2_500, 4.0)
            assert not accept(backlog, stack, "caller", 2_500, 4.0)


def test_an_idle_model_tries_everything() -> None:
    backlog = make_backlog()
    with ExitStack() as stack:
        assert accept(backlog, stack, "caller", 1_000_000, 0.001)


def test_a_document_beside_a_sentence_is_tried_as_on_an_idle_model() -> None:
    backlog = make_backlog()
    with ExitStack() as stack:
        assert accept(backlog, stack, "sentence", SIZE, LEFT)
        assert accept(backlog, stack, "book", 1_000_000, 0.001)
        assert not accept(backlog, stack, "other book", 1_000_000, 0.001)


@pytest.mark.parametrize(("times", "accepted"), [(1, 4), (2, 2)])
def test_a_long_request_that_took_longer_than_its_model_lowers_the_rate(times: int, accepted: int) -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    with backlog.hold(9_200, "caller"):
        backlog.note_computed(9_200)
        clock.now += times * (9_200 + FIXED_CHARACTERS) / RATE
    with ExitStack() as stack:
        assert sum(accept(backlog, stack, "caller", SIZE, 4.0) for _ in range(10)) == accepted


def test_failed_and_short_requests_measure_nothing() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    with suppress(TimeoutError), backlog.hold(5_000, "caller"):
        backlog.note_computed(5_000)
        clock.now += LEFT
        raise TimeoutError
    with backlog.hold(100, "caller"):
        backlog.note_computed(100)
        clock.now += LEFT
    with ExitStack() as stack:
        assert sum(accept(backlog, stack, "caller", SIZE, 4.0) for _ in range(10)) == 4


def test_a_request_that_needs_little_of_the_model_measures_nothing() -> None:
    """A request of cached or untranslated text ends early, or late because of its text: neither is the model's rate."""
    for seconds in (0.01, LEFT):
        clock = Clock()
        backlog = make_backlog(clock)
        with backlog.hold(5_000, "caller"):
            backlog.note_computed(1_000)
            clock.now += seconds
        with ExitStack() as stack:
            assert sum(accept(backlog, stack, "caller", SIZE, 4.0) for _ in range(10)) == 4


def test_requests_that_share_the_model_do_not_lower_its_rate() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(backlog.hold(6 * SIZE, "caller"))
        backlog.note_computed(24 * SIZE)
        clock.now += 4 * (6 * SIZE + FIXED_CHARACTERS) / RATE  # `RATE` for the four together
    with ExitStack() as stack:
        assert sum(accept(backlog, stack, "caller", SIZE, 4.0) for _ in range(10)) == 4


def test_the_token_ratio_follows_the_latest_texts() -> None:
    ratio = TokenRatio()
    assert ratio.ratio == 0
    ratio.note(1_000, 250)
    assert ratio.ratio == pytest.approx(0.25)
    for _ in range(10):
        ratio.note(1_000_000, 700_000)
    assert ratio.ratio == pytest.approx(0.7)


def run_late(backlog: RequestBacklog, clock: Clock, size: int, count: int, seconds: float) -> None:
    """Runs requests at a time that all reach their deadline."""
    with suppress(DeadlineExceeded), ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(backlog.hold(size, "caller", clock.now + seconds))
        clock.now += seconds
        raise DeadlineExceeded("late")


def count_accepted(backlog: RequestBacklog, size: int) -> int:
    """Returns how many of ten requests are accepted that have as much time as four take."""
    with ExitStack() as stack:
        seconds = 4 * (size + FIXED_CHARACTERS) / RATE
        return sum(accept(backlog, stack, "caller", size, seconds) for _ in range(10))


LONG = 9_600


def test_late_requests_lower_the_rate_until_none_is_accepted_that_ends_late() -> None:
    """The machine is four times as slow as the model alone, and no request ends that could be measured."""
    clock = Clock()
    backlog = make_backlog(clock)
    assert count_accepted(backlog, LONG) == 4
    while (accepted := count_accepted(backlog, LONG)) > 1:
        before = clock.now
        run_late(backlog, clock, LONG, accepted, 40.0)
        assert clock.now < before + 1_000
    assert clock.now < 4_000


def test_one_late_request_lowers_the_rate_by_a_tenth_at_most() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    assert count_accepted(backlog, LONG) == 4
    run_late(backlog, clock, LONG, 1, 10_000.0)
    assert count_accepted(backlog, LONG) == 3


def test_short_requests_that_are_late_lower_the_rate_of_short_ones_only() -> None:
    """A short request may be late because of one batch that ran before it."""
    clock = Clock()
    backlog = make_backlog(clock)
    for _ in range(50):
        assert count_accepted(backlog, LONG) == 4
        count_accepted(backlog, SIZE)
        run_late(backlog, clock, SIZE, 1, 100.0)
    assert count_accepted(backlog, SIZE) == 1


def test_one_late_short_request_lowers_the_rate_by_a_tenth_at_most() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    assert count_accepted(backlog, SIZE) == 4
    run_late(backlog, clock, SIZE, 1, 10_000.0)
    assert count_accepted(backlog, SIZE) == 3


def test_a_late_short_request_lowers_the_rate_after_very_many_in_time() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    assert count_accepted(backlog, SIZE) == 4
    run_late(backlog, clock, SIZE, 1, 10_000.0)
    for _ in range(100_000):
        with backlog.hold(SIZE, "caller"):
            backlog.note_computed(SIZE)
            clock.now += 0.01
    for _ in range(8):
        count_accepted(backlog, SIZE)
        run_late(backlog, clock, SIZE, 1, 10_000.0)
    assert count_accepted(backlog, SIZE) == 1


def test_short_requests_correct_a_rate_that_is_too_low() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    for _ in range(10):
        count_accepted(backlog, LONG)
        run_late(backlog, clock, LONG, 1, 10_000.0)
    assert count_accepted(backlog, SIZE) == 1
    with backlog.hold(SIZE, "caller"):
        backlog.note_computed(SIZE)
        clock.now += 1.0
    assert count_accepted(backlog, SIZE) == 4


def test_a_paragraph_corrects_a_rate_that_is_too_low() -> None:
    """Its fixed cost, which is more than its text, needs no tokens."""
    clock = Clock()
    backlog = make_backlog(clock)
    for _ in range(10):
        count_accepted(backlog, LONG)
        run_late(backlog, clock, LONG, 1, 10_000.0)
    with backlog.hold(200, "caller"):
        backlog.note_computed(200)
        clock.now += 0.99 * (200 + FIXED_CHARACTERS) / RATE
    assert count_accepted(backlog, SIZE) == 4


def test_a_deadline_that_nothing_could_meet_says_nothing() -> None:
    clock = Clock()
    backlog = make_backlog(clock)
    for _ in range(20):
        assert count_accepted(backlog, LONG) == 4
        run_late(backlog, clock, LONG, 1, 0.01)


async def test_a_queue_refuses_what_its_own_rate_leaves_no_time_for() -> None:
    machine = Machine(seconds=lambda batch: 1.0)
    async with held_queue(machine) as (queue, executor):
        await learn_rate(queue, executor)
        with ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(queue.hold_request(1_000, machine.now + 1_000.0, "caller"))
            with pytest.raises(Overloaded, match="the requests in work take") as refused:
                stack.enter_context(queue.hold_request(1_000, machine.now + 0.5, "caller"))
            assert refused.value.retry_after > 0
            stack.enter_context(queue.hold_request(1_000, None, "caller"))


async def learn_rate(queue: BatchQueue, executor: HeldExecutor) -> None:
    """Runs several full batches, from which the queue learns its rate, and gives it the tokens of a text."""
    queue.note_encoding(100, 50)
    futures = [queue.submit((i, *[0] * 9), GREEDY) for i in range(100)]
    await run_all(executor)
    await asyncio.gather(*futures)
