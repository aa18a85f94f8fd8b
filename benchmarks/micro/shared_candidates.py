"""Counts the candidates that the rows of a batch share: `python -m benchmarks.micro.shared_candidates`.

A blocked product computes the scores of shared candidates for all rows at once, also for rows that do not have them as
candidates. Prints for batches of 32 sentences of similar length, and for several bounds, which part of all candidates
belongs to so many rows, and how many products a blocked product makes for each wanted one.
"""

from __future__ import annotations

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import sample_sentences
from benchmarks.students import NAMES, load_embedded_student

_SENTENCES, _ROWS = 320, 32
_BOUNDS = (0.5, 0.7, 0.8, 0.9)


def main() -> None:
    """Prints the table."""
    student = load_embedded_student(NAMES["en", "pt"], 1)
    shortlist = student.searcher.shortlist
    if shortlist is None:
        sys.exit("the model has no shortlist")
    rows = [encoding.ids for encoding in student.encode(sorted(sample_sentences("en-US", _SENTENCES), key=len))]
    table = Table(title=f"batches of {_ROWS}")
    for heading in ("candidates a row", "all", *(f"in {bound:.0%} of the rows" for bound in _BOUNDS)):
        table.add_column(heading, justify="right")
    for at in range(0, len(rows), _ROWS):
        batch = rows[at : at + _ROWS]
        counts = np.bincount(shortlist.list_candidates(batch)[1])
        cells = [f"{counts.sum() / len(batch):.0f}", f"{np.count_nonzero(counts)}"]
        for bound in _BOUNDS:
            shared = counts[counts >= bound * len(batch)]
            products = len(shared) * len(batch) / shared.sum()
            cells.append(f"{shared.sum() / counts.sum():.2f} ({products:.2f})")
        table.add_row(*cells)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
