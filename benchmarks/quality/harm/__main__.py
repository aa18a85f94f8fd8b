"""Translates ordinary sentences by the whole path and by the bare engine, and reports where and why they differ.

`python -m benchmarks.quality.harm` writes `report.md` beside itself. It writes every difference with its rule to
`benchmarks/.cache/reports/harm.jsonl`, and the drawn differences without a verdict to `harm-undecided.md` there.
Returns 1 if a drawn difference has no verdict, if more than 2% of the verdicts are `worse`, or if chrF of the whole
path is below that of the bare engine by more than 0.05.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from benchmarks.quality.fidelity.service import serve
from benchmarks.quality.harm.engines import Engines
from benchmarks.quality.harm.report import Direction, write_lists, write_report
from benchmarks.quality.harm.rules import find_rules
from benchmarks.quality.harm.scores import Comparison, compare_systems
from benchmarks.quality.harm.sentences import Sentence, read_sentences
from benchmarks.quality.harm.verdicts import Difference, Judgement, draw_differences, read_verdicts

_MARKS = re.compile("[“”„«»‘’–—…\u00a0]")
_MOST_WORSE = 0.02
_MOST_LOSS = 0.05


async def measure() -> list[Direction]:
    """Measures both directions with one server."""
    sentences = await asyncio.to_thread(read_sentences)
    async with serve() as service:
        return [
            await _measure_direction(Engines(service, languages), languages, chosen)
            for languages, chosen in sentences.items()
        ]


async def _measure_direction(engines: Engines, languages: tuple[str, str], sentences: Sequence[Sentence]) -> Direction:
    texts = [sentence.text for sentence in sentences]
    whole = await engines.run_whole(texts)
    bare = await engines.run_bare(texts)
    rules = await find_rules(engines, texts, whole, bare)
    differences = [
        Difference(
            languages,
            texts[index],
            whole[index].text,
            bare[index],
            rule,
            sentences[index].kind,
            sentences[index].origin,
            tuple(sorted(whole[index].flags)),
        )
        for index, rule in sorted(rules.items())
    ]
    kinds = Counter(sentence.kind for sentence in sentences)
    outputs = [answer.text for answer in whole]
    return Direction(languages, kinds, differences, _score_parts(sentences, outputs, bare))


def _score_parts(sentences: Sequence[Sentence], whole: Sequence[str], bare: Sequence[str]) -> dict[str, Comparison]:
    rows = [row for row in zip(sentences, whole, bare, strict=True) if row[0].reference]
    parts = {
        "all": rows,
        "without typographic marks": [row for row in rows if not _MARKS.search(row[0].text)],
        "with typographic marks": [row for row in rows if _MARKS.search(row[0].text)],
    }
    return {
        name: compare_systems([row[1] for row in part], [row[2] for row in part], [row[0].reference for row in part])
        for name, part in parts.items()
    }


def keeps_bounds(directions: Sequence[Direction], verdicts: dict[str, Judgement]) -> bool:
    """True if all drawn differences have verdicts, at most 2% are worse, and chrF is at most 0.05 below the engine."""
    drawn = draw_differences([difference for way in directions for difference in way.differences])
    found = Counter(verdicts[difference.key] for difference in drawn if difference.key in verdicts)
    worst = min(score.difference for way in directions for score in way.scores.values())
    complete = found.total() == len(drawn)
    return complete and found[Judgement.WORSE] <= _MOST_WORSE * found.total() and worst >= -_MOST_LOSS


def main() -> int:
    """Prints and writes the report. Returns 1 if a bound is missed."""
    started = time.monotonic()
    directions = asyncio.run(measure())
    verdicts = read_verdicts()
    write_lists(directions, verdicts)
    console = Console()
    for line in write_report(directions, verdicts):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{time.monotonic() - started:.0f} seconds")
    return 0 if keeps_bounds(directions, verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
