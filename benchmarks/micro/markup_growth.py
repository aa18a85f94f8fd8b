"""Prints how the CPU time of markup parsing grows with the text: `python -m benchmarks.micro.markup_growth`.

Parses the hard texts of tests/unit/markup at 50 kB and at 200 kB, in every format, and prints the slowest ones with the
ratio of both times. A linear parser has a ratio of 4, a quadratic one of 16.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Table

from latimer_server.text.markup import TextFormat, parse_markup, render
from tests.unit.markup.texts import HARD_TEXTS

_SMALL, _LARGE = 50_000, 200_000
_ROUNDS = 3
_ROWS = 20


def measure_parse(part: str, size: int, text_format: TextFormat) -> float:
    """Returns the least CPU seconds of a few rounds for a text of `size` characters that repeats `part`."""
    source = (part * size)[:size]
    spent = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        document = parse_markup(source, text_format)
        render(document, [block.source for block in document.blocks])
        spent.append(time.process_time() - started)
    return min(spent)


def main() -> None:
    """Prints the table."""
    rows = []
    for kind, part in HARD_TEXTS.items():
        for text_format in TextFormat:
            small, large = (measure_parse(part, size, text_format) for size in (_SMALL, _LARGE))
            rows.append((large, large / small, kind, text_format.name))
    table = Table("text", "format", "seconds for 200 kB", "ratio to 50 kB", box=None, pad_edge=False)
    for seconds, ratio, kind, name in sorted(rows, reverse=True)[:_ROWS]:
        table.add_row(kind, name, f"{seconds:.2f}", f"{ratio:.1f}")
    console = Console()
    console.print(table)
    console.print(
        f"highest ratio of texts above 10 ms: {max(ratio for seconds, ratio, *_ in rows if seconds > 0.01):.1f}"
    )


if __name__ == "__main__":
    main()
