"""The report of a batch as JSON or as one HTML page."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import datetime, timezone
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from latimer.batch.counts import Example
from latimer.batch.flags import explain_flag
from latimer.batch.job import BatchOutcome
from latimer.batch.output import open_output
from latimer.batch.results import BatchError

_SMALL_SHARE = 0.1
_FORMATS = (".json", ".html", ".htm")
# The first bytes of a report in each format, by which an earlier one is known.
_BEGINNINGS = (
    b'{\n  "about": {\n    "task": "',
    b'<!doctype html>\n<html lang="en">\n<meta name="generator" content="latimer">',
)
_HEAD = 256


def check_report(path: Path, *, overwrites: bool) -> None:
    """Raises `BatchError` if the report has no format that its suffix names, or cannot be written.

    `overwrites`: replaces a file that is no report. An earlier report is always replaced.
    """
    if path.suffix.lower() not in _FORMATS:
        raise BatchError(f"--report {path}: the name must end in .json or .html")
    folder = next((each for each in path.absolute().parents if each.exists()), Path("/"))
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise BatchError(f"--report {path}: it cannot be written; name a file in a folder that you may write")
    if path.is_file() and not overwrites and not _is_report(path):
        raise BatchError(f"--report {path}: a file that is no report exists already; --force replaces it")


def _is_report(path: Path) -> bool:
    """Returns True for a report of an earlier batch, and for an empty file."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return not head or any(head.startswith(beginning) for beginning in _BEGINNINGS)


def write_report(path: Path, outcome: BatchOutcome, about: dict[str, str]) -> None:
    """Writes the report in the format of its suffix. `about`: what the batch did, by labels. Raises `OutputError`."""
    described = describe(outcome, about)
    if path.suffix.lower() == ".json":
        text = json.dumps(described, ensure_ascii=False, indent=2) + "\n"
    else:
        text = _build_page(described)
    with open_output(path) as target:
        target.write(text.encode("utf-8", "backslashreplace"))


def describe(outcome: BatchOutcome, about: dict[str, str]) -> dict[str, Any]:
    """Returns the report as JSON values. Times are in seconds."""
    counts = outcome.counts
    return {
        "about": about,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(outcome.seconds, 3),
        "units": counts.units,
        "words": sum(file.words for file in outcome.files),
        "sent_units": counts.sent_units,
        "sent_words": counts.sent_words,
        "words_per_second": round(counts.sent_words / max(outcome.seconds, 1e-9), 1),
        "from_memory": counts.from_memory,
        "corrected_by_a_person": counts.corrected,
        "from_journal": counts.from_journal,
        "repeated": counts.repeated,
        "failed": counts.failed,
        "flagged": counts.flagged,
        "flags": [
            {"flag": flag, "units": count, "examples": [_show(example) for example in counts.examples(flag)]}
            for flag, count in counts.flags.most_common()
        ],
        "errors": [_show(example) for example in counts.errors],
        "files": [
            {
                "input": file.name,
                "output": str(file.output) if file.output else "-",
                "units": file.units,
                "words": file.words,
                "failed": file.failed,
                "error": file.error,
            }
            for file in outcome.files
        ],
    }


def _show(example: Example) -> dict[str, Any]:
    shown = dataclasses.asdict(example)
    return {name: value for name, value in shown.items() if value != ""}


def _build_page(report: dict[str, Any]) -> str:
    page = Template(resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    figures = [
        (f"{report['units']:,}", "units"),
        (f"{report['words']:,}", "words"),
        (f"{report['words_per_second']:,.0f}", "words a second"),
        (f"{report['flagged']:,}", "with warnings"),
        (f"{report['failed']:,}", "failed"),
        (f"{report['seconds']:,.1f} s", "time"),
    ]
    return page.substitute(
        title=escape(", ".join(report["about"].values())),
        written=escape(report["written"].replace("T", " ").removesuffix("+00:00") + " UTC"),
        figures="".join(f"<div><b>{value}</b><span>{label}</span></div>" for value, label in figures),
        origins=_build_origins(report),
        flags="".join(_build_flag(flag, report["units"]) for flag in report["flags"])
        or "<p class=none>No unit has a warning.</p>",
        errors=_build_errors(report["errors"]),
        files="".join(_build_file(file) for file in report["files"]),
    )


def _build_origins(report: dict[str, Any]) -> str:
    """Returns a bar that shows where the results came from."""
    parts = [
        ("sent", "translated now", report["sent_units"]),
        ("memory", "from the memory", report["from_memory"]),
        ("journal", "from the journal", report["from_journal"]),
        ("repeated", "repeated", report["repeated"]),
    ]
    total = max(sum(count for *_, count in parts), 1)
    bar = "".join(
        f'<i class="{name}" style="width:{100 * count / total:.2f}%"></i>' for name, _, count in parts if count
    )
    legend = "".join(
        f'<span><i class="{name}"></i>{label} <b>{count:,}</b></span>' for name, label, count in parts if count
    )
    return f"<div class=bar>{bar}</div><div class=legend>{legend}</div>"


def _build_flag(flag: dict[str, Any], units: int) -> str:
    rows = "".join(
        f"<tr><td class=place>{escape(each['path'])}<br>{escape(each['place'])}</td>"
        f"<td dir=auto>{escape(each.get('source', ''))}</td><td dir=auto>{escape(each.get('target', ''))}</td></tr>"
        for each in flag["examples"]
    )
    share = 100 * flag["units"] / max(units, 1)
    noun = "unit" if flag["units"] == 1 else "units"
    shown = f"{share:.1f} %" if share >= _SMALL_SHARE else f"under {_SMALL_SHARE} %"
    meaning = f"; {explain_flag(flag['flag'])}" if explain_flag(flag["flag"]) else ""
    return (
        f"<details open><summary><b>{escape(flag['flag'])}</b> {flag['units']:,} {noun}, {shown}{meaning}</summary>"
        f"<table class=pairs><tr><th>place<th>source<th>result</tr>{rows}</table></details>"
    )


def _build_errors(errors: list[dict[str, Any]]) -> str:
    if not errors:
        return ""
    rows = "".join(
        f"<tr><td class=place>{escape(each['path'])}<br>{escape(each['place'])}</td>"
        f"<td dir=auto>{escape(each.get('source', ''))}</td><td>{escape(each.get('error', ''))}</td></tr>"
        for each in errors
    )
    return (
        "<h2>Failed units</h2><div class=files><table class=pairs>"
        f"<tr><th>place<th>source<th>reason</tr>{rows}</table></div>"
    )


def _build_file(file: dict[str, Any]) -> str:
    state = escape(file["error"]) or (f"{file['failed']:,} failed" if file["failed"] else "done")
    mark = " class=bad" if file["error"] or file["failed"] else ""
    return (
        f"<tr{mark}><td>{escape(file['input'])}<td>{escape(file['output'])}<td class=number>{file['units']:,}"
        f"<td class=number>{file['words']:,}<td>{state}</tr>"
    )
