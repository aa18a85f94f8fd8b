"""Reports a run as a table for the terminal, as Markdown beside this file and as JSON in the cache folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.corpus import CACHE
from benchmarks.quality.fidelity.outcomes import Outcome, Verdict

HERE = Path(__file__).parent
DATA = CACHE / "reports" / "fidelity.json"
_SHOWN = 240


def tabulate(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """Returns a row for each kind and one for all: the count of each outcome, the total, the share that holds."""
    kinds = list(dict.fromkeys(verdict.case.kind for verdict in verdicts))
    rows = [_row(kind, [verdict for verdict in verdicts if verdict.case.kind == kind]) for kind in kinds]
    return [*rows, _row("all", verdicts)]


def _row(name: str, verdicts: Sequence[Verdict]) -> list[str]:
    counts = Counter(verdict.outcome for verdict in verdicts)
    share = sum(verdict.holds for verdict in verdicts) / max(1, len(verdicts))
    return [name, *(str(counts[outcome]) for outcome in Outcome), str(len(verdicts)), f"{share:.1%}"]


HEADERS = ("kind", *(outcome.value for outcome in Outcome), "total", "holds")


def make_table(verdicts: Sequence[Verdict]) -> Table:
    """Returns the table for a terminal."""
    table = Table(box=None, pad_edge=False, title="Fidelity")
    for header in HEADERS:
        table.add_column(header, justify="left" if header == "kind" else "right")
    rows = tabulate(verdicts)
    for row in rows[:-1]:
        table.add_row(*row)
    table.add_section()
    table.add_row(*rows[-1], style="bold")
    return table


def list_damage(verdicts: Sequence[Verdict], outcome: Outcome) -> list[str]:
    """Returns a line for each case of this outcome: its name, its kind and its damage or error."""
    lines = []
    for verdict in verdicts:
        if verdict.outcome is not outcome:
            continue
        details = "; ".join(f"{damage.invariant}: {damage.detail}" for damage in verdict.damages)
        lines.append(f"{verdict.case.name} ({verdict.case.kind}): {details or verdict.answer.error}")
    return lines


def write_report(verdicts: Sequence[Verdict], folder: Path = HERE, data: Path = DATA) -> None:
    """Writes `report.md` into `folder`, and every verdict as JSON to `data`."""
    lines = [
        "# Fidelity",
        "",
        "Written by `make report-fidelity`. Damage is silent if no flag reports it to the caller.",
        "",
    ]
    lines += [f"| {' | '.join(HEADERS)} |", f"|---|{'---:|' * (len(HEADERS) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in tabulate(verdicts)]
    for outcome in (Outcome.SILENT, Outcome.FLAGGED, Outcome.REPAIRED, Outcome.REFUSED):
        group = [verdict for verdict in verdicts if verdict.outcome is outcome]
        if group:
            lines += ["", f"## {outcome.value.capitalize()}", ""]
        for verdict in group:
            flags = ", ".join(sorted(verdict.answer.flags)) or "no flags"
            origin = f"; {verdict.case.origin}" if verdict.case.origin else ""
            lines.append(f"- **{verdict.case.name}** ({verdict.case.kind}{origin}; {flags})")
            lines += [f"  - {_code(f'{damage.invariant}: {damage.detail}')}" for damage in verdict.damages]
            if outcome is not Outcome.REFUSED:
                lines += [f"  - in: {_code(verdict.case.content)}", f"  - out: {_code(verdict.answer.text)}"]
    (folder / "report.md").write_text("\n".join(lines) + "\n", "utf-8")
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps(_as_data(verdicts), ensure_ascii=False, indent=1) + "\n", "utf-8")


def _as_data(verdicts: Sequence[Verdict]) -> list[dict[str, object]]:
    return [
        {
            "name": verdict.case.name,
            "kind": verdict.case.kind,
            "outcome": verdict.outcome.value,
            "flags": sorted(verdict.answer.flags),
            "damages": [f"{damage.invariant}: {damage.detail}"[:_SHOWN] for damage in verdict.damages],
            "output": verdict.answer.text[:_SHOWN],
            "error": verdict.answer.error,
        }
        for verdict in verdicts
    ]


def _code(text: str) -> str:
    """Returns text as a Markdown code span, with invisible characters escaped."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:_SHOWN])
    shown += "…" if len(text) > _SHOWN else ""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if len(fence) > 1 or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
