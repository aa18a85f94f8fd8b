"""Summarizes thirty texts in HYBRID mode through a real server and reports the faithfulness of the summaries.

`python -m benchmarks.quality.faithfulness` prints a table and writes `report.md` beside itself. This program checks
numbers and names, and shares no code with the server's own check. Readers judge whether each sentence, generated or
copied, is true in the context of its summary. Their verdicts are in `verdicts.toml`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import statistics
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from latimer import AsyncClient
from latimer_server.config.settings import Settings
from latimer_server.rpc.server import build_server

HERE = Path(__file__).parent
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<![.!?“\"'] )(?<!^)\b[A-ZÀ-Ý][\w’'-]+")


@dataclass(frozen=True)
class Line:
    """A sentence of a summary. `source`: its source sentences. `shortened`: True if it is not a verbatim copy.
    `invented`: its numbers and names that the text lacks."""

    text: str
    source: str
    shortened: bool
    invented: tuple[str, ...]

    @property
    def key(self) -> str:
        """The key of its verdicts: a hash of sentence and source, so that a change of either needs a new verdict."""
        return hashlib.sha256(f"{self.text}\n{self.source}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Result:
    """The summary of a text and the seconds that it took."""

    name: str
    lines: tuple[Line, ...]
    seconds: float


def find_invented(sentence: str, text: str) -> tuple[str, ...]:
    """Returns the numbers and names of a sentence that the text does not contain exactly."""
    numbers = set(_NUMBER.findall(text))
    words = set(re.findall(r"[\w’'-]+", text))
    missing = [number for number in _NUMBER.findall(sentence) if number not in numbers]
    return tuple(missing + [name for name in _NAME.findall(sentence) if name not in words])


async def summarize_all() -> list[Result]:
    """Summarizes every text, one after another, in MEDIUM length."""
    server = await build_server(Settings(listen="127.0.0.1:0"))
    await server.start()
    await server.preload()
    results = []
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.summarize("This loads the model. It is not counted.", mode="hybrid")
        paths = sorted((HERE / "texts").glob("*.txt"))
        for path in track(paths, "summarizing", console=Console(stderr=True), disable=not sys.stderr.isatty()):
            text = path.read_text("utf-8")
            started = time.monotonic()
            summary = await client.summarize(text, mode="hybrid")
            seconds = time.monotonic() - started
            flat = " ".join(text.split())
            lines = []
            for sentence in summary.sentences:
                source = " / ".join(" ".join(text[s.start : s.end].split()) for s in sentence.source_spans)
                invented = find_invented(sentence.text, text)
                lines.append(Line(sentence.text, source, sentence.text not in flat, invented))
            results.append(Result(path.stem, tuple(lines), seconds))
    await server.drain(0)
    return results


def read_verdicts() -> dict[str, dict[str, str]]:
    """Returns the verdicts by key and reader: `true` or `untrue`."""
    path = HERE / "verdicts.toml"
    verdicts: dict[str, dict[str, str]] = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    return verdicts


def write_report(results: list[Result], verdicts: dict[str, dict[str, str]]) -> Table:
    """Writes `report.md` and returns its figures as a table."""
    lines = [line for result in results for line in result.lines]
    readers = sorted({reader for verdict in verdicts.values() for reader in verdict if reader != "note"})
    table = Table("figure", "value", box=None, pad_edge=False)
    shortened = [line for line in lines if line.shortened]
    table.add_row("texts / sentences", f"{len(results)} / {len(lines)}")
    table.add_row("generated (not verbatim)", str(len(shortened)))
    table.add_row("copied from the text (verbatim)", str(len(lines) - len(shortened)))
    table.add_row("numbers and names that the text lacks", str(sum(len(line.invented) for line in lines)))
    for reader in readers:
        judged_lines = [verdicts.get(line.key, {}).get(reader, "unread") for line in lines]
        counted = ", ".join(f"{judged_lines.count(verdict)} {verdict}" for verdict in ("true", "untrue", "unread"))
        table.add_row(f"read by {reader}", counted)
    seconds = sorted(result.seconds for result in results)
    table.add_row("seconds a text, p50 / worst", f"{statistics.median(seconds):.1f} / {seconds[-1]:.1f}")
    words = [sum(len(line.text.split()) for line in result.lines) for result in results]
    table.add_row("words a summary, p50", f"{statistics.median(words):.0f}")
    report = ["# Faithfulness of HYBRID summaries", "", "Written by `make report-summaries`.", ""]
    cells = [[*column.cells] for column in table.columns]
    report += ["| figure | value |", "|---|---|", *(f"| {a} | {b} |" for a, b in zip(*cells, strict=True))]
    for result in results:
        report += ["", f"## {result.name}", ""]
        for line in result.lines:
            given = verdicts.get(line.key, {})
            judged = ", ".join(f"{reader}: {given.get(reader, 'unread')}" for reader in readers) or "unread"
            report.append(f"- {'**generated**' if line.shortened else 'verbatim'} `{line.key}` ({judged})")
            report.append(f"  - {line.text}")
            if line.shortened:
                report.append(f"  - source: {line.source}")
            if line.invented:
                report.append(f"  - not in the text: {', '.join(line.invented)}")
    (HERE / "report.md").write_text("\n".join(report) + "\n", "utf-8")
    return table


if __name__ == "__main__":
    Console().print(write_report(asyncio.run(summarize_all()), read_verdicts()))
