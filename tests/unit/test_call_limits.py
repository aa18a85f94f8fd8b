"""Bounds on calls: answers that callers do not read, and messages that do not arrive."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import cast

import grpc
import pytest

from latimer_server.core.errors import OverloadBound, Overloaded
from latimer_server.rpc.call_limits import DisplacingLimit

ANSWERS = "has not read {held} bytes of answers; at most {most}"
MESSAGES = "this caller has {held} messages"


class Context:
    """The context of a call that the test ends."""

    def __init__(self) -> None:
        self.cancelled = False
        self._callbacks: list[Callable[[], None]] = []

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self._callbacks.append(callback)
        return True

    def cancel(self) -> None:
        self.cancelled = True
        self.end()

    def end(self) -> None:
        for callback in self._callbacks:
            callback()


def as_context(context: Context) -> grpc.ServicerContext:
    return cast(grpc.ServicerContext, context)


def test_a_caller_that_does_not_read_gets_no_further_answers() -> None:
    limit, unread = DisplacingLimit(ANSWERS, 1_000, 100, OverloadBound.UNREAD_BYTES), Context()
    limit.hold_until_end("one", as_context(unread), 100)
    with pytest.raises(Overloaded, match="has not read 100 bytes of answers; at most 100"):
        limit.require_room("one")
    limit.require_room("two")
    unread.end()
    limit.require_room("one")


def test_the_caller_with_most_unread_answers_loses_its_oldest() -> None:
    limit = DisplacingLimit(ANSWERS, 1_000, 600, OverloadBound.UNREAD_BYTES)
    greedy = [Context() for _ in range(3)]
    others = [Context() for _ in range(4)]
    for context in greedy:
        limit.hold_until_end("greedy", as_context(context), 200)
    for number, context in enumerate(others):
        limit.hold_until_end(f"other {number}", as_context(context), 125)
    assert [context.cancelled for context in greedy] == [True, False, False]
    assert not any(context.cancelled for context in others)


def test_the_caller_with_most_arriving_messages_loses_its_oldest() -> None:
    limit = DisplacingLimit(MESSAGES, 4, 3, OverloadBound.ARRIVING)
    greedy, polite = [Context() for _ in range(3)], [Context() for _ in range(2)]
    with ExitStack() as held:
        for context in greedy:
            held.enter_context(limit.hold("greedy", as_context(context)))
        with pytest.raises(Overloaded, match="this caller has 3 messages"):
            held.enter_context(limit.hold("greedy", as_context(Context())))
        for number, context in enumerate(polite):
            held.enter_context(limit.hold(f"polite {number}", as_context(context)))
    assert [context.cancelled for context in greedy] == [True, False, False]
    assert not any(context.cancelled for context in polite)


def test_a_flood_over_many_connections_displaces_no_caller_with_few_messages() -> None:
    limit = DisplacingLimit(MESSAGES, 4, 3, OverloadBound.ARRIVING)
    flood, polite = [Context() for _ in range(200)], [Context() for _ in range(2)]
    with ExitStack() as held:
        for number, context in enumerate(flood):
            if number == 100:
                for message in polite:
                    held.enter_context(limit.hold("polite", as_context(message)))
            held.enter_context(limit.hold(f"flood {number % 40}", as_context(context)))
    assert not any(context.cancelled for context in polite)
    assert sum(context.cancelled for context in flood) == 198


def test_what_a_caller_has_lost_is_forgotten_after_seconds() -> None:
    seconds = 0.0
    limit = DisplacingLimit(MESSAGES, 2, 2, OverloadBound.ARRIVING, lambda: seconds)
    first, second, others = Context(), Context(), [Context() for _ in range(4)]
    with ExitStack() as held:
        for context in (first, others[0]):
            held.enter_context(limit.hold("one", as_context(context)))
        held.enter_context(limit.hold("two", as_context(others[1])))
        assert first.cancelled
        seconds = 60.0
        held.enter_context(limit.hold("two", as_context(second)))
    assert others[0].cancelled is False
    assert others[1].cancelled


def test_a_caller_that_has_its_share_displaces_nobody() -> None:
    limit = DisplacingLimit(MESSAGES, 4, 2, OverloadBound.ARRIVING)
    one, two = [Context() for _ in range(2)], [Context() for _ in range(2)]
    with ExitStack() as held:
        for name, contexts in (("one", one), ("two", two)):
            for context in contexts:
                held.enter_context(limit.hold(name, as_context(context)))
        with pytest.raises(Overloaded, match="this caller has 2 messages"):
            held.enter_context(limit.hold("two", as_context(Context())))
    assert not any(context.cancelled for context in (*one, *two))
