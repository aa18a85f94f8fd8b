"""Measures the check of unknown words on ordinary sentences, and ways to translate those that it reports again.

`python -m benchmarks.quality.unknown_words` translates the sentences of the harm corpus by the bare students and prints
each output that the check reports, for reading. Then it decodes these again by a beam, with the whole vocabulary, and
by both, and prints how many outputs are not reported any more, their chrF against the translations by people before
and after, and the CPU seconds beside those of all sentences.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import sacrebleu
from rich.console import Console
from rich.table import Table

from benchmarks.quality.harm.sentences import Sentence, read_sentences
from benchmarks.students import NAMES, load_embedded_student, run_in_batches
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions
from latimer_server.text.checks.unknown_words import has_unknown_word

_BATCH = 32
_WAYS = {
    "beam of 4": DecodingOptions(beam_size=4),
    "whole vocabulary": DecodingOptions(whole_vocabulary=True),
    "whole vocabulary, beam of 2": DecodingOptions(beam_size=2, whole_vocabulary=True),
    "whole vocabulary, beam of 4": DecodingOptions(beam_size=4, whole_vocabulary=True),
}


def translate(student: MarianStudent, texts: Sequence[str], options: DecodingOptions) -> tuple[list[str], float]:
    """Returns the outputs of texts and the seconds of CPU."""
    started = time.process_time()
    rows = [encoding.ids for encoding in student.encode(texts)]
    hypotheses = run_in_batches(student, rows, _BATCH, options)
    return student.decode([hypothesis.ids for hypothesis in hypotheses]), time.process_time() - started


def measure_ways(student: MarianStudent, found: Sequence[tuple[Sentence, str]], languages: tuple[str, str]) -> Table:
    """Decodes reported sentences again in each way. `found`: the sentences with their outputs."""
    table = Table("way", "not reported any more", "chrF before", "after", "CPU seconds", box=None)
    for name, options in _WAYS.items():
        outputs, seconds = translate(student, [sentence.text for sentence, _ in found], options)
        mended = [
            (sentence.reference, old, new)
            for (sentence, old), new in zip(found, outputs, strict=True)
            if not has_unknown_word(sentence.text, new, *languages)
        ]
        known = [row for row in mended if row[0]]
        scores = [
            sacrebleu.corpus_chrf([row[side] for row in known], [[row[0] for row in known]]).score for side in (1, 2)
        ]
        table.add_row(name, f"{len(mended)} of {len(found)}", *(f"{score:.1f}" for score in scores), f"{seconds:.2f}")
    return table


def main() -> None:
    """Prints the reported outputs and the tables."""
    console = Console(soft_wrap=True)
    for languages in NAMES:
        student = load_embedded_student(NAMES[languages], 1)
        by_text = {one.text: one for one in read_sentences()[languages] if "\n" not in one.text}
        sentences = sorted(by_text.values(), key=lambda sentence: len(sentence.text))
        outputs, seconds = translate(student, [sentence.text for sentence in sentences], DecodingOptions())
        found = [
            (sentence, output)
            for sentence, output in zip(sentences, outputs, strict=True)
            if has_unknown_word(sentence.text, output, *languages)
        ]
        for sentence, output in found:
            console.print(f"{sentence.text}\n  {output}", markup=False, highlight=False)
        console.print(
            f"{'-'.join(languages)}: {len(found)} of {len(sentences)} outputs are reported; all took {seconds:.1f} s"
        )
        console.print(measure_ways(student, found, languages))


if __name__ == "__main__":
    main()
