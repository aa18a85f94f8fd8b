"""What ordinary text pays for the protection of the other kind: false alarms, and chrF.

`python -m benchmarks.quality.fidelity.ordinary` translates 250 English and 250 Portuguese sentences of plain prose and prints
the share that carries a warning, by flag and with examples; then chrF of the whole path against fxtranslate, an engine
of its own for the same models, beside that of the path with protection off and that of the bare model (sentence by
sentence, without the server). The manuals are full of typographic quotation marks, which both engines garble when they
are left alone and ours does not: so chrF is told twice, of the sentences as they are and with straight marks. Writes
`ordinary.md` beside itself. Exits with 1 above 2% of warnings, or where the whole path is more than 0.5 chrF away from
the bare model on text with straight marks.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fxtranslate
import sacrebleu
from rich.console import Console

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.prose import choose_sentences
from benchmarks.quality.fidelity.service import Service, serve
from latimer_server.backends.marian.student import load_student
from latimer_server.config.settings import load_settings
from latimer_server.core.decoding import DecodingOptions
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store

HERE = Path(__file__).parent
_MODELS = {("en", "pt"): "firefox-en-pt", ("pt", "en"): "firefox-pt-en"}
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
    """chrF of three ways against the other engine."""

    whole: float
    unprotected: float
    bare: float


@dataclass(frozen=True)
class Direction:
    """One direction: its sentences and the answers to them."""

    languages: tuple[str, str]
    sentences: Sequence[str]
    answers: Sequence[Answer]
    typographic: Scores
    straight: Scores


def list_alarms(answer: Answer) -> list[str]:
    """The warnings of an answer; what only says what was done is none."""
    return sorted(answer.flags - _NOTES)


async def translate_all(
    service: Service, sentences: Sequence[str], languages: tuple[str, str], *, bare: bool
) -> list[Answer]:
    """Every sentence as a content of its own. `bare`: without the protection that is on by itself."""
    options = {"disable_builtin_protection": bare, "disable_cache": True}
    answers: list[Answer] = []
    for start in range(0, len(sentences), _BATCH):
        answers += await service.translate(sentences[start : start + _BATCH], *languages, options)
    return answers


def translate_bare(sentences: Sequence[str], languages: tuple[str, str]) -> tuple[list[str], list[str]]:
    """The model's own outputs, and those of the other engine (`translate_long`)."""
    store, entry = Store(load_settings(None).store), load_catalog().get(_MODELS[languages])
    files = store.locate(entry)
    student = load_student(files, 2)
    mine: list[str] = []
    for start in range(0, len(sentences), _BATCH):
        rows = [encoding.ids for encoding in student.encode(sentences[start : start + _BATCH])]
        mine += student.decode([one.ids for one in student.run(rows, DecodingOptions(), lambda: False)])
    vocabulary = files["vocabulary"].read_bytes()
    oracle = fxtranslate.Translator(
        model=files["model"].read_bytes(),
        src_vocab=vocabulary,
        trg_vocab=vocabulary,
        shortlist=files["shortlist"].read_bytes(),
    )
    return mine, [oracle.translate_long(sentence) for sentence in sentences]


async def measure() -> list[Direction]:
    """Both directions."""
    found = []
    async with serve() as service:
        for languages in _MODELS:
            sentences = choose_sentences(languages[0], _COUNT)
            answers = await translate_all(service, sentences, languages, bare=False)
            straight = [sentence.translate(_STRAIGHT) for sentence in sentences]
            scores = [await score(service, texts, languages) for texts in (sentences, straight)]
            found.append(Direction(languages, sentences, answers, *scores))
    return found


async def score(service: Service, sentences: Sequence[str], languages: tuple[str, str]) -> Scores:
    """The whole path, the path without protection and the bare model, against the other engine."""
    answers = await translate_all(service, sentences, languages, bare=False)
    open_answers = await translate_all(service, sentences, languages, bare=True)
    bare, reference = translate_bare(sentences, languages)
    three = ([a.text for a in answers], [a.text for a in open_answers], bare)
    return Scores(*(sacrebleu.corpus_chrf(outputs, [reference]).score for outputs in three))


def describe(directions: Sequence[Direction]) -> tuple[list[str], bool]:
    """The report's lines, and whether all is as it should be."""
    pairs = [pair for one in directions for pair in zip(one.sentences, one.answers, strict=True)]
    alarmed = [(sentence, answer, list_alarms(answer)) for sentence, answer in pairs if list_alarms(answer)]
    share = len(alarmed) / len(pairs)
    lines = ["# Ordinary text", "", "Written by `make report-fidelity`.", ""]
    lines += [
        f"Sentences with a warning: {len(alarmed)} of {len(pairs)} ({share:.1%}; at most {_MOST_ALARMS:.0%}).",
        "",
    ]
    lines += ["| direction | whole path | protection off | bare model | whole - bare |", "|---|---:|---:|---:|---:|"]
    for one in directions:
        for marks, scores in (("as it is", one.typographic), ("straight quotation marks", one.straight)):
            figures = (scores.whole, scores.unprotected, scores.bare, scores.whole - scores.bare)
            cells = " | ".join(f"{figure:.2f}" for figure in figures)
            lines.append(f"| {'-'.join(one.languages)}, {marks} | {cells} |")
    lines += [
        "",
        "chrF against fxtranslate (`translate_long`). The sentences are those of three Debian manuals (`prose.py`).",
    ]
    for flag in sorted({flag for *_, flags in alarmed for flag in flags}):
        mine = [(sentence, answer) for sentence, answer, flags in alarmed if flag in flags]
        lines += ["", f"## {flag}: {len(mine)}", ""]
        for sentence, answer in mine[:_EXAMPLES]:
            lines += [f"- {sentence}", f"  - {answer.text}"]
    kept = all(abs(one.straight.whole - one.straight.bare) <= _MOST_LOSS for one in directions)
    return lines, share <= _MOST_ALARMS and kept


def main() -> int:
    """Prints and writes the report; 1 where a bound is not kept."""
    lines, good = describe(asyncio.run(measure()))
    (HERE / "ordinary.md").write_text("\n".join(lines) + "\n", "utf-8")
    console = Console()
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
