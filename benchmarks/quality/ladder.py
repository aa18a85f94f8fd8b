"""Measures which way of translating a segment again mends which fault: `python -m benchmarks.quality.ladder`.

Translates ordinary prose of Debian's manuals and long enumerations with the embedded models, and takes every segment
whose output has a fault through each candidate by itself. Prints for each fault and candidate how many segments it
mended, how many have other faults afterwards, and the seconds for each segment. The server's ladder
(`quality_ladder.RUNGS`) has the candidates that are worth their time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.quality.fidelity.prose import choose_sentences
from benchmarks.students import NAMES, locate_student
from latimer_server.backends.marian.student import load_student
from latimer_server.core.decoding import DecodingOptions, LanguagePair
from latimer_server.core.usage import Usage
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.models.pool.vocabulary_coverage import VocabularyCoverage
from latimer_server.scheduling import BatchQueue, Executors, InflightLimit, Priority
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.protection.glossary import protect_text
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.translation.model_run import ModelRunOptions
from latimer_server.translation.output_repair import OutputRepairer
from latimer_server.translation.quality_ladder import (
    BEAM,
    CONSTRAINED,
    DIVIDED,
    FIGURES_HIDDEN,
    QualityLadder,
    list_faults,
)
from latimer_server.translation.reading_run import run_readings
from latimer_server.translation.segment_output import SegmentOutput

_SENTENCES = 3_000
_WINDOW = 256

# Takes segments through a candidate, and returns their outputs with the flags of their faults.
Attempt = Callable[[Sequence[ProtectedText]], Awaitable[list[SegmentOutput | Exception | None]]]


def make_enumerations(language: str) -> list[str]:
    """Returns sentences that enumerate 10 to 60 things with a figure each."""
    units = {
        "en": ["room {} on the left", "{} boxes of screws", "the number {} on a door", "chapter {} about the sea"],
        "pt": ["a sala {} à esquerda", "{} caixas de pregos", "o número {} na porta", "o capítulo {} sobre o mar"],
    }[language]
    starts = {"en": "We saw ", "pt": "Vimos "}
    return [
        starts[language] + ", ".join(unit.format(number) for number in range(2, 2 + count)) + "."
        for unit in units
        for count in range(10, 61, 5)
    ]


@asynccontextmanager
async def load_model(languages: tuple[str, str], *, whole_vocabulary: bool) -> AsyncIterator[LoadedGenerator]:
    """Loads an embedded model, without its shortlist for `whole_vocabulary`."""
    files = dict(locate_student(NAMES[languages]))
    if whole_vocabulary:
        files.pop("shortlist")
    backend = load_student(files, 1)
    executors = Executors(1)
    queue = BatchQueue(backend.run, backend.limits, executors.slot())
    yield LoadedGenerator(load_catalog().get(NAMES[languages]), backend, queue, VocabularyCoverage(backend))
    await queue.close()
    executors.close()


@dataclass
class Score:
    """The results of one candidate for one fault: segments, those mended, those without any fault, and seconds."""

    segments: int = 0
    mended: int = 0
    clean: int = 0
    seconds: float = 0.0


async def measure(
    languages: tuple[str, str], texts: Sequence[str], scores: dict[tuple[str, str], Score]
) -> Counter[str]:
    """Adds the results of all candidates on the faulty segments among `texts` to `scores`, by fault and candidate.

    Returns how many of the texts have each fault.
    """
    decoding = DecodingOptions()
    detector = LanguageDetector()
    async with (
        load_model(languages, whole_vocabulary=False) as model,
        load_model(languages, whole_vocabulary=True) as whole,
    ):

        def make_ladder(loaded: LoadedGenerator) -> QualityLadder:
            async def run(
                segments: Sequence[ProtectedText], options: DecodingOptions
            ) -> list[SegmentOutput | Exception]:
                run_options = ModelRunOptions(
                    options,
                    reject_overlong=False,
                    priority=Priority.BULK,
                    deadline=None,
                    caller=None,
                    languages=LanguagePair(*languages),
                    cached=False,
                )
                return await run_readings(loaded, segments, run_options, InflightLimit(_WINDOW), Usage())

            repairer = OutputRepairer(*languages, decoding, run, detector.is_written_in, Usage())
            return QualityLadder(*languages, decoding, run, repairer.check_all, Usage(), has_shortlist=True)

        ladder, whole_ladder = make_ladder(model), make_ladder(whole)
        candidates: dict[str, Attempt] = {
            "constrained": lambda texts: CONSTRAINED.attempt(ladder, texts),
            "figures hidden": lambda texts: FIGURES_HIDDEN.attempt(ladder, texts),
            "beam": lambda texts: BEAM.attempt(ladder, texts),
            "whole vocabulary": lambda texts: whole_ladder.run_prepared(texts, decoding),
            "divided": lambda texts: DIVIDED.attempt(ladder, texts),
        }
        segments = [protect_text(text, ProtectionRules()) for text in texts]
        outputs = await ladder.check(segments, await ladder.retranslate(segments, decoding))
        faulty = [
            (segment, list_faults(output, decoding))
            for segment, output in zip(segments, outputs, strict=True)
            if list_faults(output, decoding)
        ]
        for name, attempt in candidates.items():
            for segment, faults in faulty:
                started = time.monotonic()
                (new,) = await attempt([segment])
                seconds = time.monotonic() - started
                left = list_faults(new, decoding) if isinstance(new, SegmentOutput) else faults
                for fault in faults:
                    score = scores.setdefault((fault.name, name), Score())
                    score.segments += 1
                    score.mended += fault not in left
                    score.clean += not left
                    score.seconds += seconds
    return Counter(fault.name for _, faults in faulty for fault in faults)


def main() -> None:
    """Prints a table for prose and one for enumerations."""
    console = Console(width=120)
    kinds: dict[str, Callable[[str], Sequence[str]]] = {
        "prose": lambda language: choose_sentences(language, _SENTENCES),
        "enumerations": make_enumerations,
    }
    for kind, choose in kinds.items():
        scores: dict[tuple[str, str], Score] = {}
        for languages in NAMES:
            texts = choose(languages[0])
            found = asyncio.run(measure(languages, texts, scores))
            console.print(f"{kind} {'-'.join(languages)}: {len(texts)} segments, faults {dict(found)}")
        table = Table("fault", "candidate", "segments", "mended", "without any fault", "seconds each", box=None)
        for (fault, name), score in sorted(scores.items()):
            counts = (score.segments, score.mended, score.clean)
            table.add_row(fault, name, *map(str, counts), f"{score.seconds / score.segments:.2f}")
        console.print(table)


if __name__ == "__main__":
    main()
