"""Sends every case to a real server and reports the damage.

`python -m benchmarks.quality.fidelity` prints a table with a row per kind of damage and the names of the damaged cases.
It writes `report.md` beside itself and all answers as JSON into `benchmarks/.cache/reports/fidelity.json`.
`--only TEXT` runs the cases with TEXT in their name, or of the kind TEXT, and writes nothing. Exits with 1 if a
placeholder, a URL, a tag or a number was damaged without a flag.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from rich.console import Console
from rich.progress import Progress

from benchmarks.quality.fidelity.cases import Case, read_cases
from benchmarks.quality.fidelity.invariants import INVARIANTS
from benchmarks.quality.fidelity.outcomes import Outcome, Verdict, judge
from benchmarks.quality.fidelity.report import list_damage, make_table, write_report
from benchmarks.quality.fidelity.service import serve


async def run_cases(cases: list[Case]) -> list[Verdict]:
    """Runs all cases through one server."""
    async with serve() as service:
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("translating", total=len(cases))
            answers = await service.ask(cases, lambda: progress.advance(task))
    return [judge(case, answer) for case, answer in zip(cases, answers, strict=True)]


def main() -> int:
    """Prints the table and writes the report. Returns 1 if a strict invariant was broken without a flag."""
    parser = argparse.ArgumentParser(description="Checks what difficult inputs lose in translation.")
    parser.add_argument("--only", default="", help="run the cases with this text in their name, or of this kind")
    parser.add_argument("--outputs", action="store_true", help="print every output")
    arguments = parser.parse_args()
    wanted = arguments.only
    cases = [case for case in read_cases(INVARIANTS) if wanted in case.name or wanted == case.kind]
    verdicts = asyncio.run(run_cases(cases))
    console = Console()
    for verdict in verdicts if arguments.outputs else ():
        console.print(f"{verdict.outcome.value:9} {verdict.case.name} {sorted(verdict.answer.flags)}", markup=False)
        console.print(
            f"  {verdict.case.content[:400]!r}\n  {verdict.answer.text[:400]!r}", markup=False, highlight=False
        )
    for outcome in (Outcome.SILENT, Outcome.FLAGGED):
        for line in list_damage(verdicts, outcome):
            console.print(f"{outcome.value}: {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(make_table(verdicts))
    if not wanted:
        write_report(verdicts)
    return 1 if any(verdict.strictly_silent for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
