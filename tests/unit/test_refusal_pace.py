"""The pace of refusals: many refusals wait for their turn, single ones and bursts are sent at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import pytest

from latimer_server.core.access import Principal
from latimer_server.core.errors import InvalidRequest, TooLate
from latimer_server.rpc.call import Call
from latimer_server.rpc.refusal_pace import RefusalPace


class Context:
    """A call with a deadline that ends as soon as somebody waits for its end."""

    def __init__(self, remaining: float | None = None) -> None:
        self.remaining = remaining
        self.waits = 0

    def time_remaining(self) -> float | None:
        return self.remaining

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.waits += 1
        callback()
        return True


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refuse(pace: RefusalPace, caller: str, count: int) -> int:
    """Refuses calls of a caller and returns how many of the refusals waited."""
    context = Context()
    for _ in range(count):
        pace.wait(caller, context)  # type: ignore[arg-type]
    return context.waits


def test_a_burst_is_refused_at_once() -> None:
    assert refuse(RefusalPace(1, Clock()), "caller", 256) == 0


def test_refusals_beyond_a_burst_wait() -> None:
    assert refuse(RefusalPace(1, Clock()), "caller", 400) > 100


def test_a_steady_rate_is_refused_at_once() -> None:
    clock = Clock()
    pace = RefusalPace(2, clock)
    waits = 0
    for _ in range(5_000):
        waits += refuse(pace, "caller", 1)
        clock.now += 1 / 190
    assert waits == 0
    for _ in range(5_000):
        waits += refuse(pace, "caller", 1)
        clock.now += 1 / 400
    assert waits > 2_000


def test_many_callers_that_each_retry_a_few_times_a_second_have_the_pace_together() -> None:
    clock = Clock()
    pace = RefusalPace(1, clock)
    waits = 0
    for _ in range(100):
        waits += sum(refuse(pace, f"caller {number}", 1) for number in range(100))
        clock.now += 0.2
    assert waits > 5_000


def test_other_callers_are_refused_at_once_meanwhile() -> None:
    pace = RefusalPace(1, Clock())
    assert refuse(pace, "retries", 400)
    for number in range(100):
        assert refuse(pace, f"other {number}", 20) == 0


def test_a_caller_whose_calls_are_answered_now_and_then_is_refused_at_once() -> None:
    """Twice as many calls as the server bears, or three times as many, are no retries."""
    clock = Clock()
    pace = RefusalPace(1, clock)
    assert refuse(pace, "retries", 400)
    for _ in range(5_000):
        pace.note_answer("busy")
        assert refuse(pace, "busy", 2) == 0
        clock.now += 0.01


def test_a_caller_that_retries_has_the_pace_for_a_while() -> None:
    clock = Clock()
    pace = RefusalPace(1, clock)
    assert refuse(pace, "caller", 400) > 100
    for _ in range(50):
        clock.now += 0.1
        for _ in range(10):
            pace.note_answer("caller")
    assert refuse(pace, "caller", 400) > 100
    clock.now += 60.0
    assert refuse(pace, "caller", 400) > 100
    clock.now += 60.0
    assert refuse(pace, "caller", 100) == 0


@pytest.mark.parametrize(("remaining", "limit"), [(None, 1.0), (0.4, 0.3), (0.0, 0.0)])
def test_a_refusal_waits_at_most_a_second_and_not_until_its_deadline(
    monkeypatch: pytest.MonkeyPatch, remaining: float | None, limit: float
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", lambda _, seconds: waited.append(seconds))
    pace = RefusalPace(1, Clock())
    for _ in range(1_000):
        pace.wait("caller", Context(remaining))  # type: ignore[arg-type]
    assert max(waited, default=0.0) == pytest.approx(limit)


def make_error(asked: list[tuple[int, Hashable, float | None]]) -> TooLate:
    """A refusal that always holds."""

    def repeat(characters: int, caller: Hashable, deadline: float | None) -> None:
        asked.append((characters, caller, deadline))
        raise TooLate("too late", 1.0, characters, repeat)

    return TooLate("too late", 1.0, 500, repeat)


def make_call(caller: str = "caller", method: str = "/S/Translate") -> Call:
    return Call(method, "id", Principal(caller), 7.0)


def test_an_equal_call_of_a_caller_that_retries_is_refused_before_its_message_is_read() -> None:
    pace, asked = RefusalPace(1, Clock()), []  # type: ignore[var-annotated]
    for _ in range(24):
        pace.repeat_refusal(make_call())  # the caller does not retry yet
        pace.hold_back(make_error(asked), make_call(), Context())  # type: ignore[arg-type]
    with pytest.raises(TooLate):
        pace.repeat_refusal(make_call())
    assert asked == [(500, "caller", 7.0)]
    pace.repeat_refusal(make_call("other"))
    pace.repeat_refusal(make_call(method="/S/ListLanguagePairs"))


def test_a_caller_that_no_longer_retries_is_heard() -> None:
    clock = Clock()
    pace = RefusalPace(1, clock)
    for _ in range(24):
        pace.hold_back(make_error([]), make_call(), Context())  # type: ignore[arg-type]
    clock.now += 60.0
    pace.repeat_refusal(make_call())


def test_only_refusals_wait() -> None:
    context = Context()
    pace = RefusalPace(1, Clock())
    for _ in range(1_000):
        pace.hold_back(InvalidRequest(), make_call(), context)  # type: ignore[arg-type]
    assert context.waits == 0
