"""Ranks the sentences of a document by how central they are, in any language, without a model file.

Continuous LexRank (Erkan and Radev 2004, 10.1613/jair.1523) over TF-IDF vectors, then maximal marginal
relevance (Carbonell and Goldstein 1998) against redundancy; docs/decisions.md has the measurement that
chose it. The similarity matrix is never built: S x is A (A' x) with A sparse, so time and memory are
linear in the words. Knows nothing of requests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latimer_server.backends.base import Cancelled, Ranking

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_DAMPING = 0.85
_ITERATIONS = 40
_TOLERANCE = 1e-6
# How much being unlike what was already chosen weighs beside being central.
_NOVELTY = 0.3
# Redundancy is removed among this many first choices; beyond them the order is by score alone.
_DIVERSE_CHOICES = 256
# Sentences with fewer terms say too little to stand for a text.
_MIN_TERMS = 4
# Scripts written without spaces: their characters are read in pairs.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TERM = re.compile(f"[{_UNSPACED}]+|[^\\W_{_UNSPACED}]+")


class ExtractiveRanker:
    """The ranker; a `RankerBackend` without weights."""

    memory_bytes = 0
    compute_type = "float64"

    def rank(self, sentences: Sequence[str], cancelled: Cancelled) -> Ranking:
        """See `RankerBackend.rank`."""
        if not sentences:
            return Ranking((), ())
        matrix = _weigh_terms([_terms(sentence) for sentence in sentences])
        scores = _centrality(matrix, cancelled)
        order = _diversify(matrix, scores, cancelled)
        return Ranking(tuple(scores.tolist()), tuple(order))


@dataclass(frozen=True)
class _SparseMatrix:
    """Sentences by terms, rows of length 1 (or 0), as coordinates sorted by row."""

    rows: Integers
    columns: Integers
    values: Floats
    height: int
    width: int

    def times(self, x: Floats) -> Floats:
        """A x."""
        return np.bincount(self.rows, self.values * x[self.columns], self.height).astype(np.float64)

    def transposed_times(self, x: Floats) -> Floats:
        """A' x."""
        return np.bincount(self.columns, self.values * x[self.rows], self.width).astype(np.float64)

    def row(self, index: int) -> Floats:
        """One row, dense."""
        start, end = np.searchsorted(self.rows, [index, index + 1])
        row = np.zeros(self.width)
        row[self.columns[start:end]] = self.values[start:end]
        return row


def _terms(sentence: str) -> list[str]:
    terms = []
    for match in _TERM.finditer(sentence.lower()):
        word = match.group()
        if word[0] >= "\u0e00" and re.match(f"[{_UNSPACED}]", word[0]):
            terms += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            terms.append(word)
    return terms


def _weigh_terms(documents: Sequence[list[str]]) -> _SparseMatrix:
    """TF-IDF, each sentence a document of its own."""
    columns_by_term: dict[str, int] = {}
    rows, columns, counts = [], [], []
    for index, terms in enumerate(documents):
        if len(terms) < _MIN_TERMS and len(documents) > 1:
            continue
        for term, count in Counter(terms).items():
            rows.append(index)
            columns.append(columns_by_term.setdefault(term, len(columns_by_term)))
            counts.append(float(count))
    width = max(len(columns_by_term), 1)
    row_ids, column_ids = np.array(rows, np.int64), np.array(columns, np.int64)
    frequency = np.bincount(column_ids, minlength=width)
    idf = np.log((1 + len(documents)) / (1 + frequency)) + 1e-9
    values = np.array(counts, np.float64) * idf[column_ids]
    norms = np.sqrt(np.bincount(row_ids, values**2, len(documents)))
    values = values / norms[row_ids] if len(values) else values
    return _SparseMatrix(row_ids, column_ids, values, len(documents), width)


def _centrality(matrix: _SparseMatrix, cancelled: Cancelled) -> Floats:
    """LexRank by power iteration: a sentence is central when central sentences are like it. 0..1."""
    height = matrix.height
    own = np.bincount(matrix.rows, matrix.values**2, height)

    def similar(x: Floats) -> Floats:
        """S x, without what each sentence gives itself."""
        return matrix.times(matrix.transposed_times(x)) - own * x

    degrees = np.maximum(similar(np.ones(height)), 1e-12)
    scores = np.full(height, 1 / height)
    for _ in range(_ITERATIONS):
        updated = (1 - _DAMPING) / height + _DAMPING * similar(scores / degrees)
        change = np.abs(updated - scores).sum()
        scores = updated
        if change < _TOLERANCE or cancelled():
            break
    scores = np.where(own > 0, scores, 0.0)
    top = float(scores.max())
    return scores / top if top > 0 else np.ones(height)


def _diversify(matrix: _SparseMatrix, scores: Floats, cancelled: Cancelled) -> list[int]:
    """Indices by score less the likeness to what was chosen before (maximal marginal relevance)."""
    redundancy = np.zeros(matrix.height)
    left = np.ones(matrix.height, bool)
    order: list[int] = []
    for _ in range(min(matrix.height, _DIVERSE_CHOICES)):
        gain = np.where(left, (1 - _NOVELTY) * scores - _NOVELTY * redundancy, -np.inf)
        best = int(gain.argmax())
        order.append(best)
        left[best] = False
        if cancelled():
            break
        redundancy = np.maximum(redundancy, matrix.times(matrix.row(best)))
    rest = np.flatnonzero(left)
    by_score: list[int] = rest[np.argsort(-scores[rest], kind="stable")].tolist()
    return order + by_score
