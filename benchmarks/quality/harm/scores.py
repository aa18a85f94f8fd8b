"""chrF of two systems against human references, and an interval of its difference by bootstrap.

chrF (Popović 2015) is an F score of character n-grams up to 6, with recall weighted twice. sacrebleu computes it but
offers no statistics of single sentences, which resampling needs (Koehn 2004). So they are counted here; a test compares
the result with sacrebleu's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ORDER = 6
_BETA = 2.0
_SAMPLES = 1_000
_SEED = 7
# Two-sided interval of 95%.
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Comparison:
    """chrF of the whole path and of the bare engine, and the interval of their difference (95%)."""

    sentences: int
    whole: float
    bare: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """The chrF of the whole path minus that of the bare engine."""
        return self.whole - self.bare


def compare_systems(whole: Sequence[str], bare: Sequence[str], references: Sequence[str]) -> Comparison:
    """Compares two systems. Both are resampled with the same sentences."""
    counts = [count_ngrams(outputs, references) for outputs in (whole, bare)]
    draw = np.random.default_rng(_SEED)
    size = len(references)
    differences = []
    for _ in range(_SAMPLES):
        weights = np.bincount(draw.integers(0, size, size), minlength=size)
        differences.append(score_counts(weights @ counts[0]) - score_counts(weights @ counts[1]))
    low, high = np.percentile(differences, _PERCENTILES)
    scores = [score_counts(table.sum(axis=0)) for table in counts]
    return Comparison(size, scores[0], scores[1], float(low), float(high))


def count_ngrams(outputs: Sequence[str], references: Sequence[str]) -> NDArray[np.int64]:
    """Returns for each sentence the n-grams of output and reference and their matches, for n of 1 to 6: [N, 18]."""
    rows = []
    for output, reference in zip(outputs, references, strict=True):
        row: list[int] = []
        for order in range(1, _ORDER + 1):
            first, second = (_list_ngrams(text, order) for text in (output, reference))
            row += [first.total() if second else 0, second.total(), (first & second).total()]
        rows.append(row)
    return np.array(rows, dtype=np.int64)


def score_counts(counts: NDArray[np.int64]) -> float:
    """Returns chrF in percent of summed counts: [18]."""
    totals = counts.reshape(_ORDER, 3).astype(np.float64)
    totals = totals[(totals[:, 0] > 0) & (totals[:, 1] > 0)]
    if not len(totals):
        return 0.0
    precision, recall = (float(np.mean(totals[:, 2] / totals[:, column])) for column in (0, 1))
    factor = _BETA**2
    denominator = factor * precision + recall
    return 100 * (1 + factor) * precision * recall / denominator if denominator else 0.0


def _list_ngrams(text: str, order: int) -> Counter[str]:
    letters = "".join(text.split())
    return Counter(letters[start : start + order] for start in range(len(letters) - order + 1))
