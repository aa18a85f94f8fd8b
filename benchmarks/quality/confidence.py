"""Measures how well scores of models tell wrong translations from right ones, by the verdicts of a reader.

`python -m benchmarks.quality.confidence` takes the translations of `benchmarks.quality.judged` and scores each by the
model that wrote it and by the model of the other direction, which reads the output and scores the source (both by
teacher forcing over the whole vocabulary, in ONNX Runtime). For each score it prints the area under the ROC curve, and
the share of wrong translations beyond the threshold that 1, 5 and 10 % of the right ones pass.
"""

from __future__ import annotations

import asyncio
import os
import tomllib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.quality.judged.__main__ import HERE, measure
from benchmarks.students import NAMES, load_embedded_student
from latimer_server.backends.marian.engine import END, choose_candidates
from latimer_server.backends.marian.engine_search import EngineSearcher

_BATCH = 32
_ALARMS = (0.01, 0.05, 0.1)
_LOWEST = -30.0
Floats = NDArray[np.float64]


def score_tokens(languages: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> list[tuple[Floats, Floats]]:
    """Returns for each pair of source and output the log-probability of each token, and the entropy of its step."""
    student = load_embedded_student(NAMES[languages], 1)
    searcher = student.searcher
    if not isinstance(searcher, EngineSearcher):
        raise TypeError("the students must run in ONNX Runtime")
    sources = [encoding.ids[-student.limits.max_input_tokens :] for encoding in student.encode([s for s, _ in pairs])]
    targets = [encoding.ids for encoding in student.encode([output for _, output in pairs])]
    order = sorted(range(len(pairs)), key=lambda index: len(targets[index]))
    found: dict[int, tuple[Floats, Floats]] = {}
    for at in range(0, len(order), _BATCH):
        rows = order[at : at + _BATCH]
        batch = [sources[row] for row in rows]
        state = searcher.engine.begin(batch, choose_candidates(searcher.engine, None, batch), aligned=False)
        width = max(len(targets[row]) for row in rows)
        forced = np.array([[*targets[row], *[END] * (width - len(targets[row]))] for row in rows], np.int64)
        scores, entropies = np.zeros(forced.shape), np.zeros(forced.shape)
        for place in range(width):
            _, log_probs = state.step(forced[:, place - 1] if place else None, place)
            scores[:, place] = np.maximum(log_probs[np.arange(len(rows)), forced[:, place]], _LOWEST)
            finite = np.maximum(log_probs, _LOWEST)
            entropies[:, place] = -(np.exp(finite) * finite).sum(axis=1)
        for number, row in enumerate(rows):
            size = len(targets[row])
            found[row] = scores[number, :size], entropies[number, :size]
    return [found[index] for index in range(len(pairs))]


def describe(name: str, doubts: Floats, wrong: NDArray[np.bool_]) -> list[str]:
    """Returns a row of the table. `doubts`: the score of each translation, larger for doubtful ones."""
    bad, good = doubts[wrong], np.sort(doubts[~wrong])[::-1]
    area = (bad[:, None] > good).mean() + (bad[:, None] == good).mean() / 2
    caught = [(bad > good[int(share * len(good))]).mean() for share in _ALARMS]
    return [name, f"{area:.2f}", *(f"{share:.0%}" for share in caught)]


def main() -> None:
    """Prints the table of both directions together."""
    verdicts = tomllib.loads((HERE / "verdicts.toml").read_text("utf-8"))["verdicts"]
    translations = [one for one in asyncio.run(measure()) if one.key in verdicts]
    # Only ONNX Runtime scores given outputs; the C++ has searches alone.
    os.environ["LATIMER_ENGINE"] = "onnx"
    rows: dict[str, list[float]] = {}
    wrong: list[bool] = []
    for languages in NAMES:
        own = [one for one in translations if one.direction == "-".join(languages)]
        wrong += [verdicts[one.key] == "wrong" for one in own]
        for side, pair, pairs in (
            ("", languages, [(one.source, one.output) for one in own]),
            ("source by the other model, ", languages[::-1], [(one.output, one.source) for one in own]),
        ):
            for scores, entropies in score_tokens(pair, pairs):
                rows.setdefault(f"{side}mean log-probability", []).append(-scores.mean())
                rows.setdefault(f"{side}lowest log-probability", []).append(-scores.min())
                rows.setdefault(f"{side}mean entropy", []).append(entropies.mean())
                rows.setdefault(f"{side}largest entropy", []).append(entropies.max())
    rows["a warning"] = [float(bool(one.warnings)) for one in translations]
    table = Table("score", "area", *(f"caught at {share:.0%}" for share in _ALARMS), box=None)
    for name, values in rows.items():
        table.add_row(*describe(name, np.array(values), np.array(wrong)))
    Console().print(f"{len(wrong)} translations, {sum(wrong)} of them wrong")
    Console().print(table)


if __name__ == "__main__":
    main()
