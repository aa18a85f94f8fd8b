"""Series: counters and histograms that cost little to count, which prometheus-client renders.

The library's own take a lock and several calls in Python for each value, which is a tenth of what a call takes. The
values here have no lock: the owner counts under one lock all that one event changes, and collects under it too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

Labels = tuple[str, ...]


class Count:
    """A number that only grows. `value`: its present value."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Distribution:
    """The number of values in each bucket, and their sum. `bounds`: the upper bounds of the buckets, in order; a bound
    belongs to its bucket, and values beyond the last have one more."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Counts:
    """Counters of one name, by the values of its labels. A series exists from the first time that it is found."""

    def __init__(self, name: str, help_text: str, labels: Labels) -> None:
        self._declaration = name, help_text, labels
        self._series: dict[Labels, Count] = {}

    def find(self, *labels: str) -> Count:
        """Returns the counter with these values of the labels, which begins at 0."""
        return self._series.setdefault(labels, Count())

    def render(self) -> Metric:
        """Returns the present values."""
        name, help_text, labels = self._declaration
        family = CounterMetricFamily(name, help_text, labels=labels)
        for values, count in self._series.items():
            family.add_metric(values, count.value)
        return family


class Distributions:
    """Histograms of one name, by the values of its labels. A series exists from the first time that it is found."""

    def __init__(self, name: str, help_text: str, labels: Labels, bounds: Sequence[float]) -> None:
        self._declaration = name, help_text, labels
        self._bounds = tuple(map(float, bounds))
        self._names = [*map(str, self._bounds), "+Inf"]
        self._series: dict[Labels, Distribution] = {}

    def find(self, *labels: str) -> Distribution:
        """Returns the histogram with these values of the labels, which begins without values."""
        return self._series.setdefault(labels, Distribution(self._bounds))

    def render(self) -> Metric:
        """Returns the present values."""
        name, help_text, labels = self._declaration
        family = HistogramMetricFamily(name, help_text, labels=labels)
        for values, found in self._series.items():
            buckets = list(zip(self._names, map(float, accumulate(found.counts)), strict=True))
            family.add_metric(values, buckets, found.total)
        return family
