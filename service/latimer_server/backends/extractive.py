"""Ranks the sentences of a document by how central they are, in any language, without a model file.

Centroid centrality (Radev et al. 2004, 10.1016/j.ipm.2003.10.006) over TF-IDF vectors, then maximal
marginal relevance (Carbonell and Goldstein 1998) against redundancy. docs/decisions.md has the measurement
that preferred it to LexRank. No matrix of sentences by sentences is ever built: time and memory are linear
in the words. Knows nothing of requests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latimer_server.backends.protocol import Ranking
from latimer_server.core.decoding import Cancelled
from latimer_server.core.scripts import UNSPACED_LETTERS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# How much being unlike what was already chosen weighs beside being central.
_NOVELTY = 0.3
# Redundancy is removed among this many first choices; beyond them the order is by score alone.
_DIVERSE_CHOICES = 256
# Sentences with fewer terms say too little to stand for a text.
_MIN_TERMS = 4
# The best length of a sentence in terms, and how wide, as a normal curve over its logarithm: fragments
# say too little, enumerations too much.
_BEST_TERMS, _TERMS_WIDTH = 25, 0.5
# Authors often say at once what a text is about: the first sentences count more, by up to this share,
# falling off over this many sentences.
_LEAD_BONUS, _LEAD_SENTENCES = 0.5, 3
# Letters of scripts without spaces are read in pairs, other letters as words.
_TERM = re.compile(f"([{UNSPACED_LETTERS}]+)|[^\\W_{UNSPACED_LETTERS}]+")


class ExtractiveRanker:
    """The ranker; a `RankerBackend` without weights."""

    memory_bytes = 0
    name = "extractive"
    compute_type = "float64"

    def rank(self, sentences: Sequence[str], cancelled: Cancelled) -> Ranking:
        """See `RankerBackend.rank`."""
        if not sentences:
            return Ranking((), ())
        terms = [_split_terms(sentence) for sentence in sentences]
        matrix = _weigh_terms(terms)
        scores = self.measure_centrality(matrix) * _prior(np.array([len(t) for t in terms]))
        top = float(scores.max())
        scores = scores / top if top > 0 else np.ones(len(sentences))
        order = _diversify(matrix, scores, cancelled)
        return Ranking(tuple(scores.tolist()), tuple(order))

    def measure_centrality(self, matrix: SparseMatrix) -> Floats:
        """The cosine of each sentence with the sum of all."""
        centroid = matrix.transposed_times(np.ones(matrix.height))
        return matrix.times(centroid) / (float(np.linalg.norm(centroid)) or 1.0)


@dataclass(frozen=True)
class SparseMatrix:
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


def _split_terms(sentence: str) -> list[str]:
    """Words in lower case; pairs of characters in scripts without spaces."""
    terms = []
    for match in _TERM.finditer(sentence.lower()):
        word = match.group()
        if match.group(1):
            terms += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            terms.append(word)
    return terms


def _weigh_terms(documents: Sequence[list[str]]) -> SparseMatrix:
    """(1 + log TF) IDF, each sentence a document of its own."""
    columns_by_term: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    counts: list[int] = []
    for index, terms in enumerate(documents):
        if len(terms) < _MIN_TERMS and len(documents) > 1:
            continue
        for term, count in Counter(terms).items():
            rows.append(index)
            columns.append(columns_by_term.setdefault(term, len(columns_by_term)))
            counts.append(count)
    width = max(len(columns_by_term), 1)
    row_ids, column_ids = np.array(rows, np.int64), np.array(columns, np.int64)
    frequency = np.bincount(column_ids, minlength=width)
    idf = np.log((1 + len(documents)) / (1 + frequency)) + 1e-9
    values = (1 + np.log(np.array(counts, np.float64))) * idf[column_ids]
    norms = np.sqrt(np.bincount(row_ids, values**2, len(documents)))
    return SparseMatrix(row_ids, column_ids, values / norms[row_ids], len(documents), width)


def _prior(term_counts: Integers) -> Floats:
    """How good a summary sentence one of this length at this place is, whatever it says."""
    distance = np.log(np.maximum(term_counts, 1) / _BEST_TERMS) / _TERMS_WIDTH
    place = np.arange(len(term_counts)) / _LEAD_SENTENCES
    prior: Floats = np.exp(-(distance**2) / 2) * (1 + _LEAD_BONUS * np.exp(-place))
    return prior


def _diversify(matrix: SparseMatrix, scores: Floats, cancelled: Cancelled) -> list[int]:
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
