"""Chooses the model, or the two models through a pivot language, that translate a pair.

Knows catalogue entries, and nothing of what is loaded. What it finds out about a set of entries it keeps: it is
asked on every request, and there may be hundreds of models with hundreds of languages each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from latimer_server.core.decoding import LanguagePair
from latimer_server.core.languages import CodeIndex
from latimer_server.models.catalog.catalog import CatalogEntry

_MAX_DESCRIBED = 40
# Callers may ask for any code that there is.
_REMEMBERED_ROUTES = 4_096
_BEST_PIVOT = "en"
Pair = tuple[str, str]


@dataclass(frozen=True)
class Route:
    """The models to use in order, and the languages that each reads and writes, as it names them. Two or more
    models: a pivot."""

    models: tuple[str, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]

    @property
    def language_pairs(self) -> tuple[LanguagePair, ...]:
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


class _LanguageIndex:
    """The entries by the codes of the languages that they read, or of those that they write."""

    def __init__(self, entries: Iterable[CatalogEntry], codes_of: Callable[[CatalogEntry], Sequence[str]]) -> None:
        self.by_code: dict[str, list[CatalogEntry]] = {}
        for entry in entries:
            for code in codes_of(entry):
                self.by_code.setdefault(code, []).append(entry)
        self._index = CodeIndex(self.by_code)
        self._matched: dict[str, dict[str, str]] = {}

    def near(self, wanted: str) -> list[str]:
        """The codes that answer `wanted`, nearest first."""
        return self._index.near(wanted)

    def match(self, wanted: str) -> Mapping[str, str]:
        """By the names of the entries that know it, the nearest of their own codes."""
        if wanted in self._matched:
            return self._matched[wanted]
        found: dict[str, str] = {}
        for code in self.near(wanted):
            for entry in self.by_code[code]:
                found.setdefault(entry.name, code)
        if wanted in self.by_code:  # other codes would be without end
            self._matched[wanted] = found
        return found


class RouteMap:
    """The routes through some entries, one model or two; `pivoting` off: one."""

    def __init__(self, entries: Sequence[CatalogEntry], *, pivoting: bool = True) -> None:
        self.entries = entries
        self.pivoting = pivoting
        # In the order of preference: a model of few languages before one of many, as it is smaller and faster and
        # knows those better; then the catalogue's.
        ranked = sorted(entries, key=lambda entry: len(entry.source_languages) * len(entry.target_languages))
        self._entries = {entry.name: entry for entry in ranked}
        self._ranks = {name: rank for rank, name in enumerate(self._entries)}
        self._readers = _LanguageIndex(ranked, lambda entry: entry.source_languages)
        self._writers = _LanguageIndex(ranked, lambda entry: entry.target_languages)
        self._found: dict[tuple[str, str, bool], Route | None] = {}
        # Sets of target codes are numbers, a bit a code: of 200 languages there are 40,000 pairs.
        self._bits = {code: 1 << place for place, code in enumerate(sorted(self._writers.by_code))}
        self._written = {e.name: sum(self._bits[code] for code in set(e.target_languages)) for e in ranked}
        self._reached: dict[str, int] = {}
        self._bridged: dict[str, int] = {}

    @property
    def sources(self) -> list[str]:
        """Every language that a model reads, sorted."""
        return sorted(self._readers.by_code)

    def find(self, source: str, target: str, *, allow_pivot: bool = True) -> Route | None:
        """The direct model where there is one, else two models through one pivot, else None.

        Among equals the exact codes win over near ones, English over other pivots, then models of few languages.
        """
        key = (source, target, allow_pivot and self.pivoting)
        if key not in self._found:
            if len(self._found) >= _REMEMBERED_ROUTES:
                self._found.clear()
            heads, tails = self._readers.match(source), self._writers.match(target)
            route = self._find_direct(source, target, heads, tails)
            self._found[key] = route or (self._find_pivoted(source, target, heads, tails) if key[2] else None)
        return self._found[key]

    def list_pairs(self, source: str, target: str, start: int, size: int) -> tuple[list[Pair], bool]:
        """Served pairs by source and target from the one at `start` on, and whether more follow. Only those from
        or into a language where one is named."""
        asked = sum(self._bits[code] for code in self._writers.near(target)) if target else -1
        pairs: list[Pair] = []
        for code in sorted(self._readers.near(source)) if source else self.sources:
            reached = self._reach(code) & asked
            if start >= reached.bit_count():
                start -= reached.bit_count()
                continue
            pairs += [(code, other) for other in self._name(reached)][start : start + size + 1 - len(pairs)]
            start = 0
            if len(pairs) > size:
                return pairs[:size], True
        return pairs, False

    def describe(self) -> str:
        """The pairs in words, for a message."""
        pairs, more = self.list_pairs("", "", 0, _MAX_DESCRIBED)
        named = ", ".join(f"{source}->{target}" for source, target in pairs)
        return f"{named} and more (see ListLanguagePairs)" if more else named or "none"

    def _find_direct(
        self, source: str, target: str, heads: Mapping[str, str], tails: Mapping[str, str]
    ) -> Route | None:
        found = [name for name in heads if name in tails and heads[name] != tails[name]]
        if not found:
            return None
        best = min(found, key=lambda name: (heads[name] != source, tails[name] != target, self._ranks[name]))
        return Route((best,), (heads[best],), (tails[best],))

    def _find_pivoted(
        self, source: str, target: str, heads: Mapping[str, str], tails: Mapping[str, str]
    ) -> Route | None:
        heads = {name: code for name, code in heads.items() if self._entries[name].pivot}
        tails = {name: code for name, code in tails.items() if self._entries[name].pivot}
        same = set(self._writers.near(target))
        ways = (
            (head, middle, tail)
            for head, own in heads.items()
            for middle in self._entries[head].target_languages
            if middle != own and middle not in same
            for tail in self._readers.match(middle).keys() & tails.keys()
            if self._readers.match(middle)[tail] != tails[tail]
        )
        best = min(
            ways,
            key=lambda way: (
                way[1] != _BEST_PIVOT,
                heads[way[0]] != source,
                tails[way[2]] != target,
                self._ranks[way[0]] + self._ranks[way[2]],
                way,
            ),
            default=None,
        )
        if best is None:
            return None
        head, middle, tail = best
        return Route((head, tail), (heads[head], self._readers.match(middle)[tail]), (middle, tails[tail]))

    def _reach(self, source: str) -> int:
        """The target codes that are served from a source code, as bits."""
        if source not in self._reached:
            names = self._readers.match(source)
            reached = self._bits_of(names)
            if self.pivoting:
                for middle in self._name(self._bits_of(name for name in names if self._entries[name].pivot)):
                    reached |= self._bridge(middle)
            for code in self._writers.near(source):
                reached &= ~self._bits[code]
            self._reached[source] = reached
        return self._reached[source]

    def _bridge(self, middle: str) -> int:
        """The target codes that models that may be second write from a pivot language."""
        if middle not in self._bridged:
            names = self._readers.match(middle)
            self._bridged[middle] = self._bits_of(name for name in names if self._entries[name].pivot)
        return self._bridged[middle]

    def _bits_of(self, names: Iterable[str]) -> int:
        bits = 0
        for name in names:
            bits |= self._written[name]
        return bits

    def _name(self, bits: int) -> Iterator[str]:
        return (code for code, bit in self._bits.items() if bits & bit)
