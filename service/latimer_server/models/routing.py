"""Chooses the model, or the two models through a pivot language, that translate a pair.

Pure functions over catalogue entries; knows nothing of what is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latimer_server.backends.base import LanguagePair
from latimer_server.languages import match_code
from latimer_server.models.catalog import CatalogEntry

_MAX_DESCRIBED = 40


@dataclass(frozen=True)
class Route:
    """The models to use in order, and the languages that each reads and writes, as it names them. Two or more
    models: a pivot."""

    models: tuple[str, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]

    def followed_by(self, tail: Route) -> Route:
        """One route, then the other."""
        return Route(self.models + tail.models, self.sources + tail.sources, self.targets + tail.targets)

    @property
    def hops(self) -> tuple[LanguagePair, ...]:
        """What each model reads and writes, in its entry's codes."""
        return tuple(LanguagePair(source, target) for source, target in zip(self.sources, self.targets, strict=True))

    @property
    def source(self) -> str:
        """The language that goes in."""
        return self.sources[0]

    @property
    def target(self) -> str:
        """The language that comes out."""
        return self.targets[-1]


def find_route(entries: Sequence[CatalogEntry], source: str, target: str, *, allow_pivot: bool) -> Route | None:
    """The direct model where there is one, else two models through one pivot, else None.

    Among equals the exact codes win over near ones, English over other pivots, then the catalogue's order.
    """
    direct = [route for entry in entries if (route := _hop(entry, source, target))]
    if direct:
        return max(direct, key=lambda route: (route.source == source, route.target == target))
    if not allow_pivot:
        return None
    pivots = []
    for first in entries:
        for middle in first.target_languages:
            if match_code(middle, [target]) or not (head := _hop(first, source, middle)):
                continue
            tails = (_hop(second, middle, target) for second in entries)
            pivots += [head.followed_by(tail) for tail in tails if tail]
    return max(
        pivots,
        key=lambda route: (route.targets[0] == "en", route.source == source, route.target == target),
        default=None,
    )


def list_routes(entries: Sequence[CatalogEntry]) -> list[Route]:
    """The route of every pair that is served, sorted by source and target."""
    sources = sorted({code for entry in entries for code in entry.source_languages})
    targets = sorted({code for entry in entries for code in entry.target_languages})
    routes = (
        find_route(entries, source, target, allow_pivot=True)
        for source in sources
        for target in targets
        if not match_code(target, [source])
    )
    return [route for route in routes if route]


def describe_pairs(routes: Iterable[Route]) -> str:
    """The pairs in words, for a message."""
    pairs = [f"{route.source}->{route.target}" for route in routes]
    more = f" and {len(pairs) - _MAX_DESCRIBED} more (see ListLanguagePairs)" if len(pairs) > _MAX_DESCRIBED else ""
    return ", ".join(pairs[:_MAX_DESCRIBED]) + more if pairs else "none"


def _hop(entry: CatalogEntry, source: str, target: str) -> Route | None:
    matched_source = match_code(source, entry.source_languages) if entry.source_languages else None
    matched_target = match_code(target, entry.target_languages) if entry.target_languages else None
    if matched_source is None or matched_target is None or matched_source == matched_target:
        return None
    return Route((entry.name,), (matched_source,), (matched_target,))
