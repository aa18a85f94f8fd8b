"""Translates a document of 1 MB by one call on the real model: checks that every separator is kept, and the speed.

The text is the Debian Administrator's Handbook in English, with separators of every kind between its paragraphs. The
server is a separate process, called over a real channel.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import read_paragraphs
from clients.python.examples.demo import run_server, wait_until_healthy
from latimer import Client, Span

CHARACTERS = 1_000_000
SEPARATORS = (
    "\n",
    "\n\n",
    "\r\n",
    "\r\n\r\n",
    " \n",
    "\n\t",
    "\n \n\n",
    "\u2029",
    "\u00a0\n",
    "\n* ",
    "\n\n\n\n",
    "  ",
)


def make_document() -> str:
    """Returns paragraphs and separators up to the contract's limit for one content."""
    draw = random.Random(11)
    parts: list[str] = []
    size = 0
    paragraphs = read_paragraphs("en-US")
    while True:
        for paragraph in paragraphs:
            part = paragraph + draw.choice(SEPARATORS)
            if size + len(part) > CHARACTERS:
                return "".join(parts)
            parts.append(part)
            size += len(part)


def read_separators(text: str, spans: Sequence[Span]) -> list[str]:
    """Returns the text before, between and after the spans."""
    edges = [0, *(edge for span in spans for edge in (span.start, span.end)), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def main() -> int:
    """Prints a table. Returns 1 if a separator is lost or a segment is empty."""
    text = make_document()
    words = len(text.split())
    console = Console()
    with run_server() as address, Client(address, timeout=1_800) as client:
        wait_until_healthy(client)
        with console.status(f"translating {len(text):,} code points in one call ..."):
            started = time.perf_counter()
            translation = client.translate(text, source="en", target="pt", include_segments=True)
            seconds = time.perf_counter() - started
    before = read_separators(text, [segment.source_span for segment in translation.segments])
    after = read_separators(translation.text, [segment.target_span for segment in translation.segments])
    lost = sum(a != b for a, b in zip(before, after, strict=True))
    empty = sum(not segment.text for segment in translation.segments)
    table = Table("1 MB in one call", "", box=None, show_header=False)
    table.add_row("code points, words, segments", f"{len(text):,}, {words:,}, {len(translation.segments):,}")
    table.add_row("separators lost or changed", f"{lost} of {len(before):,}")
    table.add_row("segments with an empty translation", str(empty))
    table.add_row("flags", ", ".join(translation.flags) or "none")
    table.add_row("seconds, words a second", f"{seconds:.1f}, {words / seconds:,.0f}")
    console.print(table)
    return 1 if lost or empty else 0


if __name__ == "__main__":
    sys.exit(main())
