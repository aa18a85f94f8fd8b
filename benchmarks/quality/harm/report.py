"""Writes the tables of the report as Markdown beside this file, and every difference into the cache folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.corpus import CACHE
from benchmarks.quality.harm.rules import RULES
from benchmarks.quality.harm.scores import Comparison
from benchmarks.quality.harm.verdicts import Difference, Judgement, count_stale, draw_differences, find_undecided

HERE = Path(__file__).parent
LIST = CACHE / "reports" / "harm.jsonl"
UNDECIDED = CACHE / "reports" / "harm-undecided.md"
_SHOWN = 200


@dataclass(frozen=True)
class Direction:
    """The results of one direction. `kinds`: the number of sentences by kind. `scores`: chrF by part of the text."""

    languages: tuple[str, str]
    kinds: Mapping[str, int]
    differences: Sequence[Difference]
    scores: Mapping[str, Comparison]


def write_report(directions: Sequence[Direction], verdicts: Mapping[str, Judgement], folder: Path = HERE) -> list[str]:
    """Writes `report.md` into `folder` and returns its lines."""
    lines = describe(directions, verdicts)
    (folder / "report.md").write_text("\n".join(lines) + "\n", "utf-8")
    return lines


def write_lists(
    directions: Sequence[Direction], verdicts: Mapping[str, Judgement], every: Path = LIST, undecided: Path = UNDECIDED
) -> None:
    """Writes all differences as JSON, one a line, to `every`, and those that need a reader to `undecided`."""
    differences = [difference for way in directions for difference in way.differences]
    every.parent.mkdir(parents=True, exist_ok=True)
    rows = ({"key": difference.key, **asdict(difference)} for difference in differences)
    every.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    waiting = find_undecided(draw_differences(differences), verdicts)
    blocks = (
        f"{d.key} {'-'.join(d.languages)} {d.rule}\n  source {d.source}\n  whole  {d.whole}\n  bare   {d.bare}\n"
        for d in waiting
    )
    undecided.write_text("\n".join(blocks), "utf-8")


def describe(directions: Sequence[Direction], verdicts: Mapping[str, Judgement]) -> list[str]:
    """Returns the lines of the report."""
    differences = [difference for way in directions for difference in way.differences]
    drawn = draw_differences(differences)
    lines = ["# Harm", "", "Written by `make report-harm`: the whole path beside the bare engine.", ""]
    lines += ["## Sentences", "", *_table_kinds(directions), ""]
    lines += ["## Rules that make the difference", "", *_table_rules(directions, drawn, verdicts), ""]
    lines += [
        f"{len(drawn)} differences were drawn at random for reading; {len(find_undecided(drawn, verdicts))} of them"
        f" have no verdict, {count_stale(drawn, verdicts)} verdicts are on other outputs."
        f" {_count_worse(drawn, verdicts)}",
        "",
        "## chrF against translations by people",
        "",
        *_table_scores(directions),
    ]
    worse = [difference for difference in drawn if verdicts.get(difference.key) is Judgement.WORSE]
    if worse:
        lines += ["", "## Worse than the bare engine", ""]
    for difference in sorted(worse, key=lambda one: (RULES.index(one.rule), one.languages)):
        lines += [f"- {difference.rule}, {'-'.join(difference.languages)}, {difference.origin}"]
        for name in ("source", "whole", "bare"):
            lines.append(f"  - {name}: {_code(getattr(difference, name))}")
    return lines


def _count_worse(drawn: Sequence[Difference], verdicts: Mapping[str, Judgement]) -> str:
    found = Counter(verdicts[difference.key] for difference in drawn if difference.key in verdicts)
    share = found[Judgement.WORSE] / max(1, found.total())
    return (
        f"Better {found[Judgement.BETTER]}, same {found[Judgement.SAME]}, worse {found[Judgement.WORSE]} ({share:.1%})."
    )


def _table_kinds(directions: Sequence[Direction]) -> list[str]:
    names = ["-".join(way.languages) for way in directions]
    lines = ["| kind | " + " | ".join(f"{name} | differ" for name in names) + " |", "|---|" + "---:|---:|" * len(names)]
    counts = [Counter(difference.kind for difference in way.differences) for way in directions]
    for kind in directions[0].kinds:
        cells = [f"{way.kinds[kind]} | {count[kind]}" for way, count in zip(directions, counts, strict=True)]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    totals = [f"{sum(way.kinds.values())} | {len(way.differences)}" for way in directions]
    return [*lines, f"| all | {' | '.join(totals)} |"]


def _table_rules(
    directions: Sequence[Direction], drawn: Sequence[Difference], verdicts: Mapping[str, Judgement]
) -> list[str]:
    names = ["-".join(way.languages) for way in directions]
    heads = [*names, "drawn", *(judgement.value for judgement in Judgement)]
    lines = [f"| rule | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for rule in (*RULES, "all"):
        counts = [sum(rule in (one.rule, "all") for one in way.differences) for way in directions]
        read = [one for one in drawn if rule in (one.rule, "all")]
        found = Counter(verdicts.get(one.key) for one in read)
        cells = [*counts, len(read), *(found[judgement] for judgement in Judgement)]
        if any(counts):
            lines.append(f"| {rule} | {' | '.join(map(str, cells))} |")
    return lines


def _table_scores(directions: Sequence[Direction]) -> list[str]:
    lines = ["| text | sentences | whole path | bare engine | difference | 95% |", "|---|---:|---:|---:|---:|---:|"]
    for way in directions:
        for part, score in way.scores.items():
            lines.append(
                f"| {'-'.join(way.languages)}, {part} | {score.sentences} | {score.whole:.2f} | {score.bare:.2f}"
                f" | {score.difference:+.2f} | {score.low:+.2f} to {score.high:+.2f} |"
            )
    return lines


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}{fence}"
