"""Refuses requests that would be late in the thread of their call, if an equal request was refused a moment ago."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from latimer_server.core.errors import TooLate
from latimer_server.scheduling import estimate_characters
from latimer_server.translation.requests import TranslateRequest

_MOST_ROUTES = 256


class LateRequests:
    """The last refusals by source, targets, model and use of the cache. Any thread may call its methods."""

    def __init__(self) -> None:
        # Without the errors themselves: their tracebacks refer to requests.
        self._repeat: dict[Hashable, Callable[[int, Hashable, float | None], None]] = {}

    def note(self, request: TranslateRequest, error: TooLate) -> None:
        """Keeps the refusal of a request."""
        if len(self._repeat) >= _MOST_ROUTES:
            self._repeat.clear()
        self._repeat[_get_route(request)] = error.repeat

    def refuse_again(self, request: TranslateRequest) -> None:
        """Raises `TooLate` if the last refusal on the route of a request holds for it. The event loop then has no work
        for it. A request whose language is detected is left to the event loop."""
        repeat = self._repeat.get(_get_route(request)) if request.source else None
        if repeat is not None:
            repeat(sum(map(estimate_characters, request.contents)), request.caller, request.deadline)


def _get_route(request: TranslateRequest) -> Hashable:
    return request.source, request.targets, request.model, request.options.disable_pivot, request.disable_cache
