"""Puts every nasty input to a real server and says what survived.

`python -m benchmarks.quality.fidelity` prints a table per kind of damage and the names of all that do not hold, and writes
`report.md` and `report.json` beside itself. `--only TEXT` takes the cases with that in their name or kind and
writes nothing. Exits with 1 if a placeholder, a URL, a tag or a number was hurt in silence.
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
    """All cases through one server."""
    async with serve() as service:
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("translating", total=len(cases))
            answers = await service.ask(cases, lambda: progress.advance(task))
    return [judge(case, answer) for case, answer in zip(cases, answers, strict=True)]


def main() -> int:
    """Prints the table; 1 where something that must not be was hurt in silence."""
    parser = argparse.ArgumentParser(description="What survives the service.")
    parser.add_argument("--only", default="", help="cases with this in their name or kind")
    parser.add_argument("--outputs", action="store_true", help="print every output")
    asked = parser.parse_args()
    cases = [case for case in read_cases(INVARIANTS) if asked.only in case.name or asked.only == case.kind]
    verdicts = asyncio.run(run_cases(cases))
    console = Console()
    for verdict in verdicts if asked.outputs else ():
        console.print(f"{verdict.outcome.value:9} {verdict.case.name} {sorted(verdict.answer.flags)}", markup=False)
        console.print(
            f"  {verdict.case.content[:400]!r}\n  {verdict.answer.text[:400]!r}", markup=False, highlight=False
        )
    for outcome in (Outcome.SILENT, Outcome.FLAGGED):
        for line in list_damage(verdicts, outcome):
            console.print(f"{outcome.value}: {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(make_table(verdicts))
    if not asked.only:
        write_report(verdicts)
    return 1 if any(verdict.strictly_silent for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
