"""CPU time of whatever is done to a segment besides the model, a segment of 25 words at a time.

`measure_cost` times any functions that take a text; `STEPS` names those of the server's text path. Run as a program it
prints microseconds of CPU for each and for all together, over segments of ordinary prose joined or cut to 25 words.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from rich.console import Console
from rich.table import Table

from benchmarks.fidelity.prose import choose_sentences
from latimer_server.text.segmentation import Splitting, needs_translation, rebuild_text, segment_text

WORDS = 25
_SEGMENTS = 400
_ROUNDS = 5

Step = Callable[[str], object]


def _segment(text: str) -> object:
    document = segment_text(text, Splitting.SENTENCES, "en")
    return rebuild_text(document, document.segments)


# What the text path does to a segment, by name; each is timed alone.
STEPS: Mapping[str, Step] = {
    "segmentation and rebuilding": _segment,
    "is there anything to translate": needs_translation,
}


def make_segments(count: int = _SEGMENTS) -> list[str]:
    """Texts of exactly 25 words of English prose, without a full stop inside."""

    def runs() -> Iterator[str]:
        words = [word.rstrip(".!?") for sentence in choose_sentences("en", 2 * count) for word in sentence.split()]
        while len(words) >= WORDS:
            yield " ".join(words[:WORDS]).capitalize() + "."
            words = words[WORDS:]

    return list(islice(runs(), count))


def measure_cost(steps: Mapping[str, Step], segments: Sequence[str], rounds: int = _ROUNDS) -> dict[str, float]:
    """Microseconds of this process' CPU time for a segment, by step: the median of a few rounds over all segments."""
    costs = {}
    for name, step in steps.items():
        for segment in segments[:20]:
            step(segment)  # what is made once is not the segment's
        spent = []
        for _ in range(rounds):
            started = time.process_time_ns()
            for segment in segments:
                step(segment)
            spent.append((time.process_time_ns() - started) / 1_000 / len(segments))
        costs[name] = statistics.median(spent)
    return costs


def main() -> None:
    """Prints the table."""
    costs = measure_cost(STEPS, make_segments())
    table = Table("step", "microseconds a segment", box=None, pad_edge=False)
    for name, cost in costs.items():
        table.add_row(name, f"{cost:.1f}")
    table.add_row("together", f"{sum(costs.values()):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
