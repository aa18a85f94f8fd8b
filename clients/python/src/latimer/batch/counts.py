"""What a batch has done so far, for progress and reports."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field

from latimer.batch.results import UnitResult
from latimer.files import Unit

# The examples of a flag in a report.
_MOST_EXAMPLES = 20
_MOST_ERRORS = 50
# Code points of a text in an example.
_LONGEST_EXAMPLE = 600


@dataclass(frozen=True, kw_only=True)
class Example:
    """A unit with a warning or an error, side by side with its result. `target`: "" if it failed."""

    path: str
    place: str
    source: str
    target: str
    score: float
    error: str = ""


@dataclass
class Counts:
    """The counts of a batch. `units` counts finished units, of which `from_journal`, `from_memory` and `repeated` were
    not sent. `sent_units` and `sent_words` have a result of a server."""

    files: int = 0
    units: int = 0
    words: int = 0
    failed: int = 0
    flagged: int = 0
    from_journal: int = 0
    from_memory: int = 0
    corrected: int = 0
    repeated: int = 0
    sent_units: int = 0
    sent_words: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    errors: list[Example] = field(default_factory=list)
    _worst: dict[str, list[tuple[float, int, Example]]] = field(default_factory=dict)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def note(self, path: str, unit: Unit, result: UnitResult) -> None:
        """Counts the warnings of a unit, or its error, and keeps the worst examples."""
        if result.text is None:
            self.failed += 1
            if len(self.errors) < _MOST_ERRORS:
                self.errors.append(_build_example(path, unit, result))
            return
        self.flagged += 1
        for flag in result.flags:
            self.flags[flag] += 1
            worst = self._worst.setdefault(flag, [])
            # The heap's smallest item is the best example, which a worse one replaces.
            if len(worst) < _MOST_EXAMPLES:
                heapq.heappush(worst, (-result.score, next(self._order), _build_example(path, unit, result)))
            elif -result.score > worst[0][0]:
                heapq.heapreplace(worst, (-result.score, next(self._order), _build_example(path, unit, result)))

    def examples(self, flag: str) -> list[Example]:
        """Returns the examples of a flag, worst first."""
        return [example for *_, example in sorted(self._worst.get(flag, []), key=lambda entry: (-entry[0], entry[1]))]


def _build_example(path: str, unit: Unit, result: UnitResult) -> Example:
    return Example(
        path=path,
        place=unit.place,
        source=unit.text[:_LONGEST_EXAMPLE],
        target=(result.text or "")[:_LONGEST_EXAMPLE],
        score=result.score,
        error=result.error,
    )
