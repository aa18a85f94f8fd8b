"""Measures the cost of protection for ordinary text: false alarms and chrF.

`python -m benchmarks.quality.fidelity.ordinary` translates 250 English and 250 Portuguese sentences of plain prose. It
prints the share of sentences with a warning, by flag and with examples. Then it prints chrF against fxtranslate, an
independent engine for the same models, of three ways: the whole path, the path with protection off, and the bare model
(sentence by sentence, without the server). The manuals contain many typographic quotation marks, which both bare
engines garble and the whole path does not. So chrF is measured twice: on the sentences as they are, and with straight
marks. Writes `ordinary.md` beside itself. Exits with 1 above 2% of warnings, or if the whole path differs from the bare
model by more than 0.5 chrF on text with straight marks.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sacrebleu
from rich.console import Console

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.prose import choose_sentences
from benchmarks.quality.fidelity.service import Service, serve
from benchmarks.students import NAMES, load_oracle, locate_student, translate_in_batches
from latimer_server.backends.marian.student import load_student

HERE = Path(__file__).parent
_COUNT = 250
_BATCH = 25
_MOST_ALARMS = 0.02
_MOST_LOSS = 0.5
_NOTES = frozenset(
    {"PASSTHROUGH", "PIVOTED", "SEGMENT_SPLIT", "REPETITION_REPAIRED", "MARKUP_REPAIRED", "CACHED"},
)
_EXAMPLES = 5
_STRAIGHT = str.maketrans("“”„‘’", '"""\'\'')


@dataclass(frozen=True)
class Scores:
    """chrF against the other engine: of the whole path, without protection, and of the bare model."""

    whole: float
    unprotected: float
    bare: float


@dataclass(frozen=True)
class Direction:
    """One direction: its sentences, their answers, and chrF with typographic and with straight quotation marks."""

    languages: tuple[str, str]
    sentences: Sequence[str]
    answers: Sequence[Answer]
    typographic: Scores
    straight: Scores


def list_alarms(answer: Answer) -> list[str]:
    """Returns the warnings of an answer: its flags without those that only describe the processing."""
    return sorted(answer.flags - _NOTES)


async def translate_all(
    service: Service, sentences: Sequence[str], languages: tuple[str, str], *, bare: bool
) -> list[Answer]:
    """Translates every sentence as one content. `bare`: without the protection that is on by default."""
    options = {"disable_builtin_protection": bare, "disable_cache": True}
    answers: list[Answer] = []
    for start in range(0, len(sentences), _BATCH):
        answers += await service.translate(sentences[start : start + _BATCH], *languages, options)
    return answers


def translate_bare(sentences: Sequence[str], languages: tuple[str, str]) -> tuple[list[str], list[str]]:
    """Returns the outputs of our bare model, and those of the other engine (`translate_long`)."""
    files = locate_student(NAMES[languages])
    outputs = translate_in_batches(load_student(files, 2), sentences, _BATCH)
    oracle = load_oracle(files)
    return outputs, [oracle.translate_long(sentence) for sentence in sentences]


async def measure() -> list[Direction]:
    """Measures both directions."""
    found = []
    async with serve() as service:
        for languages in NAMES:
            sentences = choose_sentences(languages[0], _COUNT)
            answers = await translate_all(service, sentences, languages, bare=False)
            straight = [sentence.translate(_STRAIGHT) for sentence in sentences]
            scores = [await score(service, texts, languages) for texts in (sentences, straight)]
            found.append(Direction(languages, sentences, answers, *scores))
    return found


async def score(service: Service, sentences: Sequence[str], languages: tuple[str, str]) -> Scores:
    """Scores the whole path, the path without protection and the bare model against the other engine."""
    answers = await translate_all(service, sentences, languages, bare=False)
    unprotected = await translate_all(service, sentences, languages, bare=True)
    bare, reference = translate_bare(sentences, languages)
    ways = ([answer.text for answer in answers], [answer.text for answer in unprotected], bare)
    return Scores(*(sacrebleu.corpus_chrf(outputs, [reference]).score for outputs in ways))


def describe(directions: Sequence[Direction]) -> tuple[list[str], bool]:
    """Returns the lines of the report, and True if all bounds are kept."""
    pairs = [pair for way in directions for pair in zip(way.sentences, way.answers, strict=True)]
    alarmed = [(sentence, answer, list_alarms(answer)) for sentence, answer in pairs if list_alarms(answer)]
    share = len(alarmed) / len(pairs)
    lines = ["# Ordinary text", "", "Written by `make report-fidelity`.", ""]
    lines += [
        f"Sentences with a warning: {len(alarmed)} of {len(pairs)} ({share:.1%}; at most {_MOST_ALARMS:.0%}).",
        "",
    ]
    lines += ["| direction | whole path | protection off | bare model | whole - bare |", "|---|---:|---:|---:|---:|"]
    for way in directions:
        for marks, scores in (("unchanged", way.typographic), ("straight quotation marks", way.straight)):
            figures = (scores.whole, scores.unprotected, scores.bare, scores.whole - scores.bare)
            cells = " | ".join(f"{figure:.2f}" for figure in figures)
            lines.append(f"| {'-'.join(way.languages)}, {marks} | {cells} |")
    lines += [
        "",
        "chrF against fxtranslate (`translate_long`). The sentences are those of three Debian manuals (`prose.py`).",
    ]
    for flag in sorted({flag for *_, flags in alarmed for flag in flags}):
        flagged = [(sentence, answer) for sentence, answer, flags in alarmed if flag in flags]
        lines += ["", f"## {flag}: {len(flagged)}", ""]
        for sentence, answer in flagged[:_EXAMPLES]:
            lines += [f"- {sentence}", f"  - {answer.text}"]
    kept = all(abs(way.straight.whole - way.straight.bare) <= _MOST_LOSS for way in directions)
    return lines, share <= _MOST_ALARMS and kept


def main() -> int:
    """Prints and writes the report. Returns 1 if a bound is missed."""
    lines, good = describe(asyncio.run(measure()))
    (HERE / "ordinary.md").write_text("\n".join(lines) + "\n", "utf-8")
    console = Console()
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
