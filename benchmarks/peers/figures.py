"""Figures of a run: one value per round, the table of a scenario, and the bounds on the figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Spread:
    """The values of one figure, one per round, in the unit of its column. Raises ValueError without any value."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a figure needs at least one round")

    @property
    def least(self) -> float:
        """The least value of all rounds."""
        return min(self.values)

    @property
    def median(self) -> float:
        """The median of all rounds. Bounds are compared with it."""
        return statistics.median(self.values)

    @property
    def greatest(self) -> float:
        """The greatest value of all rounds."""
        return max(self.values)

    def __truediv__(self, other: Spread) -> Spread:
        """The ratio within each round, because both figures of a round were measured under the same conditions."""
        return Spread(tuple(left / right for left, right in zip(self.values, other.values, strict=True)))

    def __sub__(self, other: Spread) -> Spread:
        """The difference within each round."""
        return Spread(tuple(left - right for left, right in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True)
class Row:
    """One line of a table. `case`: the measured case, "" if there is only one. `engine`: the name of the engine."""

    case: str
    engine: str
    cells: Mapping[str, Spread]


@dataclass(frozen=True)
class Bound:
    """A bound on the median of a figure. `most`: the limit is an upper limit; otherwise it is a lower limit."""

    name: str
    figure: Spread
    limit: float
    most: bool

    @property
    def is_kept(self) -> bool:
        """True if the median is within the limit or equal to it."""
        return self.figure.median <= self.limit if self.most else self.figure.median >= self.limit


@dataclass(frozen=True)
class Outcome:
    """The result of a scenario. `notes`: sentences on how the figures were measured."""

    name: str
    title: str
    rows: tuple[Row, ...]
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns of all rows, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row.cells))


@dataclass
class Rounds:
    """Collects the figures of all rounds: one value for each row, column and round."""

    _values: dict[tuple[str, str], dict[str, list[float]]] = field(default_factory=dict)

    def add(self, case: str, engine: str, cells: Mapping[str, float]) -> None:
        """Adds the figures of one more round, by column."""
        row = self._values.setdefault((case, engine), {})
        for name, value in cells.items():
            row.setdefault(name, []).append(value)

    def get(self, case: str, engine: str, column: str) -> Spread:
        """Returns one figure over all rounds. Raises KeyError if it was not added."""
        return Spread(tuple(self._values[case, engine][column]))

    def to_rows(self) -> tuple[Row, ...]:
        """Returns the rows in the order in which they were first added."""
        return tuple(
            Row(case, engine, {name: Spread(tuple(values)) for name, values in row.items()})
            for (case, engine), row in self._values.items()
        )


def choose_best(names: Iterable[str], speed: Callable[[str], Spread]) -> str:
    """Returns the name with the greatest median speed. Raises ValueError without names."""
    return max(names, key=lambda name: speed(name).median)


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the least value that a `share` (0 to 1) of all values do not exceed: the nearest-rank percentile. Raises
    ValueError without values."""
    if not values:
        raise ValueError("a percentile needs at least one value")
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
