"""Request backlogs: counts an interactive request in the backlogs of all models of its routes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack

from latimer_server.core.errors import NotServed
from latimer_server.core.languages import is_near
from latimer_server.models.pool.pool import ModelPool
from latimer_server.models.routing import Route
from latimer_server.scheduling import HeldRequest, Priority
from latimer_server.translation.assembly import ContentJob
from latimer_server.translation.requests import TranslateRequest


class RequestBacklogs:
    """The places of one request in the backlogs of its models, until `stack` closes.

    `find_route` returns the route from a source to a target language, or the error if there is none. Bulk requests are
    exempt.
    """

    def __init__(
        self,
        pool: ModelPool,
        request: TranslateRequest,
        find_route: Callable[[str, str], Route | NotServed],
        stack: ExitStack,
    ) -> None:
        self._pool = pool
        self._request = request
        self._find_route = find_route
        self._stack = stack
        self._held: dict[str, HeldRequest] = {}

    def enter(self, sizes: Mapping[str, int]) -> None:
        """Counts the request. `sizes` are the code points of its contents by source language, see
        `estimate_characters`. Raises `Overloaded` if a model has too much work for the deadline."""
        request = self._request
        if request.priority is not Priority.INTERACTIVE:
            return
        by_model: Counter[str] = Counter()
        for source, size in sizes.items():
            for target in {target for target in request.targets if source and not is_near(source, target)}:
                route = self._find_route(source, target)
                for name in route.models if isinstance(route, Route) else ():
                    by_model[name] += size
        caller = object() if request.caller is None else request.caller
        cached = not request.disable_cache
        for name, size in by_model.items():
            held = self._stack.enter_context(
                self._pool.hold_request(name, size, request.deadline, caller, cached=cached)
            )
            if held is not None:
                self._held[name] = held

    def settle(self, jobs: Iterable[ContentJob]) -> None:
        """Counts only what the models compute once the texts are segmented: equal segments once, and none that need
        no model. Otherwise texts of one repeated sentence would make the estimates for other requests too high."""
        by_model: Counter[str] = Counter()
        for job in jobs:
            for name in job.route.models:
                by_model[name] += job.characters
        for name, held in self._held.items():
            held.settle(by_model[name])
