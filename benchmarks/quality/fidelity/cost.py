"""Measures the CPU time of the text path: all work on a segment of 25 words outside the model.

`measure_cost` times any functions that take a text; `STEPS` lists those of the server's text path. Run as a program,
this module prints microseconds of CPU for each step and for all together, over segments of ordinary prose that are
joined or cut to 25 words.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

from rich.console import Console
from rich.table import Table

from benchmarks.quality.fidelity.ordinary import translate_bare
from benchmarks.quality.fidelity.prose import choose_sentences
from latimer_server.backends.protocol import Encoding, GeneratorBackend
from latimer_server.core.decoding import LanguagePair
from latimer_server.models.pool.vocabulary_coverage import VocabularyCoverage
from latimer_server.text.casing import find_casing, lower_text, style_text
from latimer_server.text.checks.output_checks import check_output
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.protection.glossary import protect_text
from latimer_server.text.protection.mask_forms import MASK_FORMS
from latimer_server.text.protection.masking import ProtectedText, mask_spans, strip_edge_signs, unmask_spans
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Splitting, needs_translation, rebuild_text, segment_text

WORDS = 25
_SEGMENTS = 400
_ROUNDS = 5

Step = Callable[[str], object]


class _EveryCharacter:
    """A backend whose vocabulary covers every character."""

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:  # noqa: ARG002
        return [Encoding(tuple(map(ord, text)), 0) for text in texts]


_RULES = ProtectionRules()
_COVERAGE = VocabularyCoverage(cast(GeneratorBackend, _EveryCharacter()))
_ENGLISH = LanguagePair("en", "pt")
_DETECTOR = LanguageDetector()


def _segment(text: str) -> object:
    document = segment_text(text, Splitting.SENTENCES, "en")
    return rebuild_text(document, document.segments)


def _mask(text: str) -> object:
    protected = protect_text(text, _RULES)
    _, core = strip_edge_signs(protected)
    masked = mask_spans(core, MASK_FORMS[0])
    return unmask_spans(masked.text, masked)


def _style(text: str) -> object:
    protected = ProtectedText(text)
    casing = find_casing(protected)
    return style_text(lower_text(protected, casing), casing, "pt")


def _check(text: str) -> object:
    return check_output(text, _TRANSLATIONS.get(text, text), source_language="en", target_language="pt")


_TRANSLATIONS: dict[str, str] = {}
# The steps of the text path by name; each is timed alone.
STEPS: Mapping[str, Step] = {
    "segmentation and rebuilding": _segment,
    "check for text to translate": needs_translation,
    "protection: find, mask and restore spans": _mask,
    "vocabulary coverage": lambda text: _COVERAGE.covers_all(text, _ENGLISH),
    "casing": _style,
    "checks of the output": _check,
    "language of the output": lambda text: _DETECTOR.is_written_in(_TRANSLATIONS.get(text, text), "pt"),
}


def make_segments(count: int = _SEGMENTS) -> list[str]:
    """Returns texts of exactly 25 words of English prose, without a full stop inside."""

    def runs() -> Iterator[str]:
        words = [word.rstrip(".!?") for sentence in choose_sentences("en", 2 * count) for word in sentence.split()]
        while len(words) >= WORDS:
            yield " ".join(words[:WORDS]).capitalize() + "."
            words = words[WORDS:]

    return list(islice(runs(), count))


def measure_cost(steps: Mapping[str, Step], segments: Sequence[str], rounds: int = _ROUNDS) -> dict[str, float]:
    """Returns microseconds of this process's CPU time per segment and step: the median over rounds of all segments."""
    costs = {}
    for name, step in steps.items():
        for segment in segments[:20]:
            step(segment)  # warms up: caches that are filled once do not count
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
    segments = make_segments()
    _TRANSLATIONS.update(zip(segments, translate_bare(segments, ("en", "pt"))[0], strict=True))
    costs = measure_cost(STEPS, segments)
    table = Table("step", "microseconds a segment", box=None, pad_edge=False)
    for name, cost in costs.items():
        table.add_row(name, f"{cost:.1f}")
    table.add_row("together", f"{sum(costs.values()):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
