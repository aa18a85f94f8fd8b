"""Measures the CPU time of the text path: all work on a segment of 25 words outside the model.

`measure_cost` times any functions that take a text; `STEPS` lists those of the server's text path. Run as a program,
this module prints microseconds of CPU for each step and for all together, over segments of ordinary prose that are
joined or cut to 25 words. Each block of segments counts with its fastest round, since other programs on the same cores
slow the others down.
"""

from __future__ import annotations

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
from latimer_server.text.checks.output_checks import check_output, check_words
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.protection.mask_forms import MASK_FORMS
from latimer_server.text.protection.masking import ProtectedText, mask_spans, strip_edge_signs, unmask_spans
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Splitting, needs_translation, rebuild_text
from latimer_server.translation.form_repair import lacks_brackets, repair_forms, write_known
from latimer_server.translation.segment_form import finish_output
from latimer_server.translation.segment_output import SegmentOutput
from latimer_server.translation.segmenting import ContentPart, parse_content, segment_content

WORDS = 25
_SEGMENTS = 400
_BLOCK = 50
_ROUNDS = 15

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
    (part,) = segment_content(parse_content(text, None, ()), "en", Splitting.SENTENCES, _RULES, None)
    return part


def _rebuild(text: str) -> object:
    part = _PARTS[text]
    return rebuild_text(part.document, part.document.segments)


def _mask(text: str) -> object:
    _, core = strip_edge_signs(_PARTS[text].segments[0])
    masked = mask_spans(core, MASK_FORMS[0])
    return unmask_spans(masked.text, masked)


def _finish(text: str) -> object:
    return finish_output(text, _PARTS[text].segments[0], SegmentOutput(_TRANSLATIONS.get(text, text)), keeps_lines=True)


def _style(text: str) -> object:
    protected = ProtectedText(text)
    casing = find_casing(protected)
    return style_text(lower_text(protected, casing), casing, "pt")


def _repair(text: str) -> object:
    segment, output = _PARTS[text].segments[0], SegmentOutput(_TRANSLATIONS.get(text, text))
    known = write_known(segment, output, ("en", "pt"))
    return known or (lacks_brackets(segment, output), repair_forms(segment, output, ("en", "pt")))


def _check(text: str) -> object:
    return check_output(text, _TRANSLATIONS.get(text, text), source_language="en", target_language="pt")


def _check_words(text: str) -> object:
    return check_words(text, _TRANSLATIONS.get(text, text), "en", "pt")


_TRANSLATIONS: dict[str, str] = {}
_PARTS: dict[str, ContentPart] = {}
# The steps of the text path by name; each is timed alone.
STEPS: Mapping[str, Step] = {
    "protection, segmentation, preparation": _segment,
    "check for text to translate": needs_translation,
    "masking and restoring spans": _mask,
    "vocabulary coverage": lambda text: _COVERAGE.covers_all(text, _ENGLISH),
    "casing": _style,
    "checks of the output": _check,
    "words of the output": _check_words,
    "forms of the output": _repair,
    "white space and signs of the source": _finish,
    "rebuilding the text": _rebuild,
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
    """Returns microseconds of this thread's CPU time per segment and step: the mean over blocks of their least time."""
    blocks = [segments[start : start + _BLOCK] for start in range(0, len(segments), _BLOCK)]
    return {
        name: sum(min(_time_block(step, block) for _ in range(rounds)) for block in blocks) / 1_000 / len(segments)
        for name, step in steps.items()
    }


def _time_block(step: Step, block: Sequence[str]) -> int:
    started = time.thread_time_ns()
    for segment in block:
        step(segment)
    return time.thread_time_ns() - started


def main() -> None:
    """Prints the table."""
    segments = make_segments()
    _TRANSLATIONS.update(zip(segments, translate_bare(segments, ("en", "pt"))[0], strict=True))
    _PARTS.update((segment, cast(ContentPart, _segment(segment))) for segment in segments)
    costs = measure_cost(STEPS, segments)
    table = Table("step", "microseconds a segment", box=None, pad_edge=False)
    for name, cost in costs.items():
        table.add_row(name, f"{cost:.1f}")
    table.add_row("together", f"{sum(costs.values()):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
