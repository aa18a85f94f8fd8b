"""What is measured: a figure once for each round, the table of a scenario, and the bounds that it is held against.

Pure values; knows no engine and no way to print.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Spread:
    """A figure, once for each round; at least one, else ValueError. Its unit is its column's."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a figure needs at least one round")

    @property
    def least(self) -> float:
        """Of all rounds."""
        return min(self.values)

    @property
    def median(self) -> float:
        """Of all rounds: what bounds are held against."""
        return statistics.median(self.values)

    @property
    def greatest(self) -> float:
        """Of all rounds."""
        return max(self.values)

    def __truediv__(self, other: Spread) -> Spread:
        """The ratio within each round: what the machine did to one figure of a round, it did to the other."""
        return Spread(tuple(mine / yours for mine, yours in zip(self.values, other.values, strict=True)))

    def __sub__(self, other: Spread) -> Spread:
        """The difference within each round."""
        return Spread(tuple(mine - yours for mine, yours in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True)
class Row:
    """One line of a table. `case`: what was asked, "" where there is only one; `engine`: who was asked."""

    case: str
    engine: str
    cells: Mapping[str, Spread]


@dataclass(frozen=True)
class Bound:
    """What issue 5 asks for, and what was reached: its median counts. `most`: the figure may be at most the limit; else
    it must be at least that."""

    name: str
    figure: Spread
    limit: float
    most: bool

    @property
    def is_kept(self) -> bool:
        """Whether the median is on the right side of the limit, or on it."""
        return self.figure.median <= self.limit if self.most else self.figure.median >= self.limit


@dataclass(frozen=True)
class Outcome:
    """What a scenario came to. `notes`: what a reader must know to believe it, a sentence each."""

    name: str
    title: str
    rows: tuple[Row, ...]
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Every column that a row has, in the order in which they come up."""
        return list(dict.fromkeys(name for row in self.rows for name in row.cells))


@dataclass
class Rounds:
    """Collects the figures of rounds: one value for each row and column and round."""

    _values: dict[tuple[str, str], dict[str, list[float]]] = field(default_factory=dict)

    def add(self, case: str, engine: str, cells: Mapping[str, float]) -> None:
        """Figures of one more round, by column."""
        row = self._values.setdefault((case, engine), {})
        for name, value in cells.items():
            row.setdefault(name, []).append(value)

    def get(self, case: str, engine: str, column: str) -> Spread:
        """One figure over all rounds. Raises KeyError."""
        return Spread(tuple(self._values[case, engine][column]))

    def to_rows(self) -> tuple[Row, ...]:
        """In the order in which they came up."""
        return tuple(
            Row(case, engine, {name: Spread(tuple(values)) for name, values in row.items()})
            for (case, engine), row in self._values.items()
        )


def choose_best(names: Iterable[str], speed: Callable[[str], Spread]) -> str:
    """The one whose median is greatest. Raises ValueError without any."""
    return max(names, key=lambda name: speed(name).median)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that `share` (0 to 1) of all do not exceed (nearest rank). Raises ValueError without any."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
