"""Ranks the sentences of a document by centrality, in any language and without a model file.

Uses centroid centrality (Radev et al. 2004, 10.1016/j.ipm.2003.10.006) over TF-IDF vectors, then maximal marginal
relevance (Carbonell and Goldstein 1998) against redundancy. docs/decisions/0005 records why it is preferred to
LexRank. Time and memory are linear in the number of words: no matrix of sentences by sentences is built.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latimer_server.backends.protocol import LoadRequest, Ranking
from latimer_server.core.decoding import Cancelled
from latimer_server.core.scripts import UNSPACED_LETTERS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Maximal marginal relevance subtracts a sentence's similarity to those already chosen with this weight, and adds the
# sentence's score with the rest of 1.
_NOVELTY = 0.3
# Maximal marginal relevance chooses the first sentences of the order, this many; the others follow by score alone.
_DIVERSE_CHOICES = 256
# A sentence with fewer terms is too short for a summary. Its TF-IDF vector stays zero, unless it is the only sentence.
_MIN_TERMS = 4
# Scores are multiplied by a normal curve over the logarithm of a sentence's length in terms: its peak is at log(25),
# its standard deviation is 0.5. It favours sentences of a middle length over fragments and enumerations.
_BEST_TERMS, _TERMS_WIDTH = 25, 0.5
# The first sentences often name the topic. The score of the sentence with index i (from 0) is multiplied by
# 1 + bonus * exp(-i / sentences).
_LEAD_BONUS, _LEAD_SENTENCES = 0.5, 3
# Matches a run of letters of scripts without spaces (group 1, from which each pair of neighbours becomes a term), or a
# word of other letters and digits, which is one term.
_TERM = re.compile(f"([{UNSPACED_LETTERS}]+)|[^\\W_{UNSPACED_LETTERS}]+")


def load(request: LoadRequest) -> ExtractiveRanker:  # noqa: ARG001 (it needs no files)
    """Returns an `ExtractiveRanker`. The ranker reads no files, so the request does not matter."""
    return ExtractiveRanker()


class ExtractiveRanker:
    """The `RankerBackend` that scores sentences by the statistics of their words. It has no weights and no state."""

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
        """Returns the cosine similarity of each row of `matrix` (one sentence) and the sum of all rows."""
        centroid = matrix.transposed_times(np.ones(matrix.height))
        return matrix.times(centroid) / (float(np.linalg.norm(centroid)) or 1.0)


@dataclass(frozen=True)
class SparseMatrix:
    """A sparse matrix [height sentences, width terms]: `values[i]` is the value in row `rows[i]`, column `columns[i]`.

    `rows` ascend. Each row has norm 1, or is zero if the sentence has no terms.
    """

    rows: Integers
    columns: Integers
    values: Floats
    height: int
    width: int

    def times(self, x: Floats) -> Floats:
        """Returns the product A x of this matrix A and a vector x of `width` values."""
        return np.bincount(self.rows, self.values * x[self.columns], self.height).astype(np.float64)

    def transposed_times(self, x: Floats) -> Floats:
        """Returns the product A' x of this matrix, transposed, and a vector x of `height` values."""
        return np.bincount(self.columns, self.values * x[self.rows], self.width).astype(np.float64)

    def row(self, index: int) -> Floats:
        """Returns the row of one sentence as a dense vector of `width` values."""
        start, end = np.searchsorted(self.rows, [index, index + 1])
        row = np.zeros(self.width)
        row[self.columns[start:end]] = self.values[start:end]
        return row


def _split_terms(sentence: str) -> list[str]:
    """Returns the terms of a sentence in lower case: its words, and the pairs of neighbouring letters of a script
    without spaces. A single letter of such a script is a term too.
    """
    terms = []
    for match in _TERM.finditer(sentence.lower()):
        word = match.group()
        if match.group(1):
            terms += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            terms.append(word)
    return terms


def _weigh_terms(documents: Sequence[list[str]]) -> SparseMatrix:
    """Returns the TF-IDF matrix of sentences, given the terms of each. Its rows have norm 1 or are zero.

    A value is (1 + log TF) IDF, where each sentence counts as one document.
    """
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
    """Returns the factor by which each sentence's centrality is multiplied.

    It depends on the sentence's number of terms and its place in the document alone.
    """
    distance = np.log(np.maximum(term_counts, 1) / _BEST_TERMS) / _TERMS_WIDTH
    place = np.arange(len(term_counts)) / _LEAD_SENTENCES
    prior: Floats = np.exp(-(distance**2) / 2) * (1 + _LEAD_BONUS * np.exp(-place))
    return prior


def _diversify(matrix: SparseMatrix, scores: Floats, cancelled: Cancelled) -> list[int]:
    """Returns the indices of all sentences, best first: ordered by maximal marginal relevance up to
    `_DIVERSE_CHOICES` or a cancellation, and after that by score.
    """
    redundancy = np.zeros(matrix.height)
    remaining = np.ones(matrix.height, bool)
    order: list[int] = []
    for _ in range(min(matrix.height, _DIVERSE_CHOICES)):
        gain = np.where(remaining, (1 - _NOVELTY) * scores - _NOVELTY * redundancy, -np.inf)
        best = int(gain.argmax())
        order.append(best)
        remaining[best] = False
        if cancelled():
            break
        redundancy = np.maximum(redundancy, matrix.times(matrix.row(best)))
    rest = np.flatnonzero(remaining)
    by_score: list[int] = rest[np.argsort(-scores[rest], kind="stable")].tolist()
    return order + by_score
