"""Measures ROUGE of extractive summaries, and of the first k sentences and k random ones for comparison.

The documents are the chapters of the Debian Administrator's Handbook. The reference of a document is its authors'
abstract, and k is the abstract's number of sentences. English and Portuguese are reported; the constants of the ranker
were chosen on the French, Spanish, German and Italian translations only. A group of documents makes its point late: its
sentences that resemble the abstract most stand, on average, in the second half.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from rouge_score.rouge_scorer import RougeScorer

from benchmarks.corpus import read_chapters
from latimer_server.backends.extractive import ExtractiveRanker, Floats, SparseMatrix
from latimer_server.summarization.composition import choose_candidates
from latimer_server.text.segmentation import Splitting, join_lines, segment_text

REPORTED = ("en-US", "pt-BR")
TUNED = ("fr-FR", "es-ES", "de-DE", "it-IT")
_MIN_ABSTRACT_WORDS = 15
_RANDOM_DRAWS = 20
_LIKEST = 5


@dataclass(frozen=True)
class Case:
    """A document's sentences, its authors' abstract, and the abstract's number of sentences."""

    sentences: Sequence[str]
    abstract: str
    count: int


class _Words:
    """A tokenizer for all letters. ROUGE's own tokenizer drops every letter that is not ASCII."""

    def tokenize(self, text: str) -> list[str]:
        """Returns the words in lower case."""
        return re.findall(r"\w+", text.lower())


class LexRank(ExtractiveRanker):
    """Ranks by continuous LexRank (Erkan and Radev 2004), the alternative to the ranker's centroid."""

    def measure_centrality(self, matrix: SparseMatrix) -> Floats:
        """Computes scores by power iteration over A (A' x), without the similarity of a sentence to itself."""
        diagonal = np.bincount(matrix.rows, matrix.values**2, matrix.height)
        degrees = matrix.times(matrix.transposed_times(np.ones(matrix.height))) - diagonal
        scores = np.full(matrix.height, 1 / matrix.height)
        for _ in range(40):
            x = scores / np.maximum(degrees, 1e-12)
            scores = 0.15 / matrix.height + 0.85 * (matrix.times(matrix.transposed_times(x)) - diagonal * x)
        return scores


def read_cases(languages: Sequence[str]) -> list[Case]:
    """Returns the chapters with an abstract of at least 15 words."""
    cases = []
    for language in languages:
        code = language[:2]
        for chapter in read_chapters(language):
            if len(chapter.abstract.split()) < _MIN_ABSTRACT_WORDS:
                continue
            document = segment_text("\n\n".join(chapter.paragraphs), Splitting.SENTENCES_ACROSS_LINES, code)
            texts = [join_lines(segment) for segment in document.segments]
            sentences = [texts[index] for index in choose_candidates(texts)]
            count = len(segment_text(chapter.abstract, Splitting.SENTENCES, code).spans)
            cases.append(Case(sentences, chapter.abstract, count))
    return cases


def comes_late(case: Case, scorer: RougeScorer) -> bool:
    """True if the five sentences most like the abstract stand, on average, in the second half."""
    likeness = [scorer.score(case.abstract, sentence)["rouge1"].fmeasure for sentence in case.sentences]
    likest = sorted(range(len(likeness)), key=lambda index: -likeness[index])[:_LIKEST]
    return statistics.mean(likest) > len(likeness) / 2


def rank_with(ranker: ExtractiveRanker) -> Callable[[Case], list[int]]:
    """Returns a system that chooses the best-ranked sentences."""
    return lambda case: list(ranker.rank(case.sentences, lambda: False).order[: case.count])


def main() -> int:
    """Prints the table. Returns 1 if ours is not ahead of the first k and of random sentences."""
    scorer = RougeScorer(["rouge1", "rougeL"], tokenizer=_Words())
    draw = random.Random(7)
    systems: dict[str, list[Callable[[Case], list[int]]]] = {
        "first k": [lambda case: list(range(case.count))],
        "random k": [lambda case: draw.sample(range(len(case.sentences)), case.count)] * _RANDOM_DRAWS,
        "LexRank": [rank_with(LexRank())],
        "ours (centroid)": [rank_with(ExtractiveRanker())],
    }

    def measure(choosers: list[Callable[[Case], list[int]]], cases: list[Case]) -> tuple[float, float]:
        scores = []
        for choose in choosers:
            for case in cases:
                summary = " ".join(case.sentences[index] for index in sorted(choose(case)))
                found = scorer.score(case.abstract, summary)
                scores.append((100 * found["rouge1"].fmeasure, 100 * found["rougeL"].fmeasure))
        return statistics.mean(s[0] for s in scores), statistics.mean(s[1] for s in scores)

    reported, tuned = read_cases(REPORTED), read_cases(TUNED)
    late = [case for case in reported if comes_late(case, scorer)]
    groups = {
        f"English, Portuguese ({len(reported)})": reported,
        f"of these, point late ({len(late)})": late,
        f"tuned on: fr es de it ({len(tuned)})": tuned,
    }
    table = Table("ROUGE-1 / ROUGE-L (F1)", *groups, title="Extractive summaries against the authors' abstracts")
    results = {}
    for name, choosers in systems.items():
        results[name] = [measure(choosers, cases) for cases in groups.values()]
        table.add_row(name, *(f"{unigrams:.1f} / {longest:.1f}" for unigrams, longest in results[name]))
    Console(width=110).print(table)
    ours = results["ours (centroid)"]
    beaten = [
        ours[group][metric] > results[other][group][metric]
        for other in ("first k", "random k")
        for group in (0, 1)
        for metric in (0, 1)
    ]
    return 0 if all(beaten) else 1


if __name__ == "__main__":
    sys.exit(main())
