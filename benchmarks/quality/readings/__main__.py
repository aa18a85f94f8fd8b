"""Compares the whole path with the bare models on texts whose dashes and capitals mislead the models.

`python -m benchmarks.quality.readings` (`make report-readings`) translates the texts of `texts/` with the embedded
models and through a real server: sentences with dashes without spaces, headlines with names, lone names (first names
and places), and lone words of interfaces. The sentences and headlines were written for this purpose; the labels are
drawn at random from the message catalogues of GTK, GNOME, GIMP and Audacity in Debian 12. `verdicts.toml` names the
outputs that a reader found damaged by the dash or by capitals. Writes `report.md` beside itself. Exits with 1 if more
than 2% of the sentences or headlines are damaged, or if an output of a lone word has added text.
"""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.quality.fidelity.service import serve
from benchmarks.students import NAMES, locate_student, translate_in_batches
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.text.checks.additions import has_addition
from latimer_server.text.readings import is_name

HERE = Path(__file__).parent
_BATCH = 25
_MOST_DAMAGE = 0.02
_SETS = [
    ("dashes", ("en", "pt")),
    ("dashes", ("pt", "en")),
    ("headlines", ("en", "pt")),
    ("headlines", ("pt", "en")),
    ("names", ("en", "pt")),
    ("labels", ("en", "pt")),
]


@dataclass(frozen=True)
class Row:
    """A text, the output of the bare model, that of the server and its warnings."""

    text: str
    bare: str
    whole: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """The rows of a set, and the share of its lone words that the rule for names takes for names."""

    name: str
    rows: Sequence[Row]
    named: float

    def count(self, holds: Callable[[Row], bool]) -> int:
        """Returns the number of rows for which `holds` is true."""
        return sum(map(holds, self.rows))


async def measure() -> list[Measured]:
    """Translates all sets."""
    found = []
    students: dict[tuple[str, str], MarianStudent] = {
        pair: load_student(locate_student(NAMES[pair]), 1) for pair in NAMES
    }
    async with serve() as service:
        for kind, pair in _SETS:
            texts = (HERE / "texts" / f"{kind}.{pair[0]}.txt").read_text("utf-8").splitlines()
            student = students[pair]
            bare = translate_in_batches(student, texts, _BATCH)
            rows = []
            for start in range(0, len(texts), _BATCH):
                answers = await service.translate(texts[start : start + _BATCH], *pair, {"disable_cache": True})
                outputs = zip(texts[start:], bare[start:], answers, strict=False)
                rows += [Row(text, old, new.text, tuple(sorted(new.flags))) for text, old, new in outputs]
            named = sum(is_name(text, student.word_score) for text in texts) / len(texts)
            found.append(Measured(f"{kind} {'-'.join(pair)}", rows, named))
    return found


def describe(sets: Sequence[Measured], verdicts: dict[str, list[str]]) -> tuple[list[str], bool]:
    """Returns the lines of the report, and True if all bounds are kept."""
    lines = ["# Dashes and capitals", "", "Written by `make report-readings`.", ""]
    lines += [
        "| set | texts | em dashes lost, bare | whole | added text, bare | whole | copied, bare | whole "
        "| with a warning | taken for names | damaged, by reading |",
        "|---|" + "---:|" * 10,
    ]
    good = True
    for measured in sets:
        damaged = verdicts.get(measured.name, [])
        is_lone = not measured.name.startswith(("dashes", "headlines"))
        cells = [
            len(measured.rows),
            measured.count(lambda row: row.bare.count("—") < row.text.count("—")),
            measured.count(lambda row: row.whole.count("—") < row.text.count("—")),
            measured.count(lambda row: has_addition(row.text, row.bare)),
            added := measured.count(lambda row: has_addition(row.text, row.whole)),
            measured.count(lambda row: row.bare == row.text),
            measured.count(lambda row: row.whole == row.text),
            measured.count(lambda row: bool(row.flags)),
            f"{measured.named:.0%}" if is_lone else "",
            "" if is_lone else f"{len(damaged)} ({len(damaged) / len(measured.rows):.1%})",
        ]
        good = good and not (is_lone and added) and len(damaged) <= _MOST_DAMAGE * len(measured.rows)
        lines.append(f"| {measured.name} | " + " | ".join(map(str, cells)) + " |")
    for measured in sets:
        lines += ["", f"## {measured.name}", "", "| text | bare model | server | flags |", "|---|---|---|---|"]
        damaged = verdicts.get(measured.name, [])
        for row in measured.rows:
            if row.bare != row.whole or row.flags:
                mark = " (damaged)" if row.text in damaged else ""
                lines.append(f"| {row.text} | {row.bare} | {row.whole}{mark} | {' '.join(row.flags)} |")
    return lines, good


def main() -> int:
    """Prints the table and writes the report. Returns 1 if a bound is missed."""
    verdicts = tomllib.loads((HERE / "verdicts.toml").read_text("utf-8"))["damaged"]
    lines, good = describe(asyncio.run(measure()), verdicts)
    (HERE / "report.md").write_text("\n".join(lines) + "\n", "utf-8")
    Console(width=200).print("\n".join(lines[: lines.index("", 4)]))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
