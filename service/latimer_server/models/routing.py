"""Routing: chooses the model, or the two models through a pivot language, that translate a language pair.

Every request needs a route, and there may be hundreds of models with hundreds of languages each. A `RouteMap` therefore
keeps its results, and stays valid as long as the set of entries does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from latimer_server.core.decoding import LanguagePair
from latimer_server.core.languages import CodeIndex
from latimer_server.models.catalog.catalog import CatalogEntry

# An error message lists up to this many language pairs.
_MAX_DESCRIBED = 40
# A bound on the routes that a `RouteMap` keeps; it forgets all when it is full. Callers may send any language code.
_REMEMBERED_ROUTES = 4_096
_BEST_PIVOT = "en"
# The source and the target code of a served pair.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Route:
    """The names of the one or two models that translate a pair, in order. Two translate through a pivot language.

    `sources` and `targets`: for each model, the language that it reads and writes, in the codes of its entry.
    """

    models: tuple[str, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]

    @property
    def language_pairs(self) -> tuple[LanguagePair, ...]:
        """The language pair of each model."""
        return tuple(LanguagePair(source, target) for source, target in zip(self.sources, self.targets, strict=True))

    @property
    def source(self) -> str:
        """The language that the first model reads."""
        return self.sources[0]

    @property
    def target(self) -> str:
        """The language that the last model writes."""
        return self.targets[-1]


class _LanguageIndex:
    """Catalogue entries by the language codes of `get_codes`: those that an entry reads, or those that it writes."""

    def __init__(self, entries: Iterable[CatalogEntry], get_codes: Callable[[CatalogEntry], Sequence[str]]) -> None:
        self.by_code: dict[str, list[CatalogEntry]] = {}
        for entry in entries:
            for code in get_codes(entry):
                self.by_code.setdefault(code, []).append(entry)
        self._index = CodeIndex(self.by_code)
        self._matched: dict[str, dict[str, str]] = {}

    def near(self, wanted: str) -> list[str]:
        """Returns the codes of the entries that are the same as `wanted` or near it, the nearest first."""
        return self._index.near(wanted)

    def match(self, wanted: str) -> Mapping[str, str]:
        """Maps the name of each entry that has `wanted` or a near code to its nearest code."""
        if wanted in self._matched:
            return self._matched[wanted]
        matched: dict[str, str] = {}
        for code in self.near(wanted):
            for entry in self.by_code[code]:
                matched.setdefault(entry.name, code)
        if wanted in self.by_code:  # a bound on memory: callers may send any other code
            self._matched[wanted] = matched
        return matched


class RouteMap:
    """Finds the routes that a set of catalogue entries allows. `pivoting`: allows routes of two models."""

    def __init__(self, entries: Sequence[CatalogEntry], *, pivoting: bool = True) -> None:
        self.entries = entries
        self.pivoting = pivoting
        # In the order of preference: models with few languages first, because they are smaller, faster and better at
        # their languages. Ties keep the catalogue's order.
        ranked = sorted(entries, key=lambda entry: len(entry.source_languages) * len(entry.target_languages))
        self._entries = {entry.name: entry for entry in ranked}
        self._ranks = {name: rank for rank, name in enumerate(self._entries)}
        self._readers = _LanguageIndex(ranked, lambda entry: entry.source_languages)
        self._writers = _LanguageIndex(ranked, lambda entry: entry.target_languages)
        self._routes: dict[tuple[str, str, bool], Route | None] = {}
        # A set of target codes is an integer with one bit per code, because 200 languages have 40,000 pairs.
        self._bits = {code: 1 << place for place, code in enumerate(sorted(self._writers.by_code))}
        self._target_bits = {e.name: sum(self._bits[code] for code in set(e.target_languages)) for e in ranked}
        self._reached: dict[str, int] = {}
        self._bridged: dict[str, int] = {}

    @property
    def sources(self) -> list[str]:
        """All source languages, sorted."""
        return sorted(self._readers.by_code)

    def find(self, source: str, target: str, *, allow_pivot: bool = True) -> Route | None:
        """Returns a direct route if there is one, else a route through one pivot language, else None.

        Of several routes, the best is chosen by these criteria in turn: English as the pivot language, exact codes
        rather than near ones, models with few languages.
        """
        key = (source, target, allow_pivot and self.pivoting)
        if key not in self._routes:
            if len(self._routes) >= _REMEMBERED_ROUTES:
                self._routes.clear()
            heads, tails = self._readers.match(source), self._writers.match(target)
            route = self._find_direct(source, target, heads, tails)
            self._routes[key] = route or (self._find_pivoted(source, target, heads, tails) if key[2] else None)
        return self._routes[key]

    def list_pairs(self, source: str, target: str, start: int, size: int) -> tuple[list[Pair], bool]:
        """Returns up to `size` served pairs from index `start`, sorted by source and target, and whether more follow.

        `source` and `target` restrict the pairs to codes near them; "" does not restrict.
        """
        allowed = sum(self._bits[code] for code in self._writers.near(target)) if target else -1
        pairs: list[Pair] = []
        for code in sorted(self._readers.near(source)) if source else self.sources:
            reached = self._reach(code) & allowed
            if start >= reached.bit_count():
                start -= reached.bit_count()
                continue
            pairs += [(code, other) for other in self._list_codes(reached)][start : start + size + 1 - len(pairs)]
            start = 0
            if len(pairs) > size:
                return pairs[:size], True
        return pairs, False

    def describe(self) -> str:
        """Returns up to `_MAX_DESCRIBED` served pairs as text for an error message: `de->en, en->de`."""
        pairs, more = self.list_pairs("", "", 0, _MAX_DESCRIBED)
        listed = ", ".join(f"{source}->{target}" for source, target in pairs)
        return f"{listed} and more (see ListLanguagePairs)" if more else listed or "none"

    def _find_direct(
        self, source: str, target: str, heads: Mapping[str, str], tails: Mapping[str, str]
    ) -> Route | None:
        candidates = [name for name in heads if name in tails and heads[name] != tails[name]]
        if not candidates:
            return None
        best = min(candidates, key=lambda name: (heads[name] != source, tails[name] != target, self._ranks[name]))
        return Route((best,), (heads[best],), (tails[best],))

    def _find_pivoted(
        self, source: str, target: str, heads: Mapping[str, str], tails: Mapping[str, str]
    ) -> Route | None:
        heads = {name: code for name, code in heads.items() if self._entries[name].pivot}
        tails = {name: code for name, code in tails.items() if self._entries[name].pivot}
        target_codes = set(self._writers.near(target))
        candidates = (
            (head, pivot, tail)
            for head, source_code in heads.items()
            for pivot in self._entries[head].target_languages
            if pivot != source_code and pivot not in target_codes
            for tail in self._readers.match(pivot).keys() & tails.keys()
            if self._readers.match(pivot)[tail] != tails[tail]
        )
        best = min(
            candidates,
            key=lambda candidate: (
                candidate[1] != _BEST_PIVOT,
                heads[candidate[0]] != source,
                tails[candidate[2]] != target,
                self._ranks[candidate[0]] + self._ranks[candidate[2]],
                candidate,
            ),
            default=None,
        )
        if best is None:
            return None
        head, pivot, tail = best
        return Route((head, tail), (heads[head], self._readers.match(pivot)[tail]), (pivot, tails[tail]))

    def _reach(self, source: str) -> int:
        """Returns the target codes that are served from a source code, directly or through a pivot, as bits.

        Codes near the source itself are left out.
        """
        if source not in self._reached:
            names = self._readers.match(source)
            reached = self._bits_of(names)
            if self.pivoting:
                for pivot in self._list_codes(self._bits_of(name for name in names if self._entries[name].pivot)):
                    reached |= self._bridge(pivot)
            for code in self._writers.near(source):
                reached &= ~self._bits[code]
            self._reached[source] = reached
        return self._reached[source]

    def _bridge(self, pivot: str) -> int:
        """Returns the target codes that the second model of a route can write from a pivot language, as bits."""
        if pivot not in self._bridged:
            names = self._readers.match(pivot)
            self._bridged[pivot] = self._bits_of(name for name in names if self._entries[name].pivot)
        return self._bridged[pivot]

    def _bits_of(self, names: Iterable[str]) -> int:
        """Returns the target codes of all models with these names, as bits."""
        bits = 0
        for name in names:
            bits |= self._target_bits[name]
        return bits

    def _list_codes(self, bits: int) -> Iterator[str]:
        return (code for code, bit in self._bits.items() if bits & bit)
