"""What several rounds came to: least, median, greatest; and percentiles of one round. Knows no scenario."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A figure, once for each round; at least one. Its unit is the column's that it stands in."""

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


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that `share` (0 to 1) of all values do not exceed (nearest rank). Raises ValueError without any."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
